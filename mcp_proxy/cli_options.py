"""What the commands have in common: exit codes, options, and how they run."""

import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, cast

import anyio
import click

from mcp_proxy.config import ConfigError, Settings, load


class Exit(IntEnum):
    """Exit codes; the shell's own meanings of 0 and 2 are kept."""

    DONE = 0
    FAILED = 1
    """The tool answered with an error, or its upstream could not be reached."""
    USAGE = 2
    """Wrong arguments or configuration."""
    NEEDS_INPUT = 3
    """Something is missing that only a person can give."""
    NOT_SURE = 4
    """No planner was sure enough, or a rule forbids the call; nothing was done."""


class Refusal(click.ClickException):
    """What cannot be done with this configuration, or with what there is; the command line itself is well-formed."""

    exit_code = Exit.USAGE


json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

_CONFIG_HELP = "Configuration file (TOML, or mcpServers JSON)."


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes the configuration file as its `config`, given before its name or after it."""

    @click.option("-c", "--config", "own_config", type=click.Path(path_type=Path), help=_CONFIG_HELP)
    @click.pass_obj
    @wraps(command)
    def run(group_config: Path | None, *args: Any, own_config: Path | None, **kwargs: Any) -> Any:
        return command(own_config or group_config, *args, **kwargs)

    return run


def profiled(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes the name of a `profile`, None unless one was given."""
    described = "The [profiles.…] table to see and do as."
    return click.option("--profile", help=described)(command)


def loaded(config: Path | None, profile: str | None) -> Settings:
    """The settings of the file, for clients of that profile, or of the one the file names."""
    settings = load(config)
    if profile is None:
        return settings
    if profile and profile not in settings.profiles:
        known = ", ".join(settings.profiles) or "none"
        raise Refusal(f"there is no profile {profile!r} in the configuration; there are: {known}")
    return settings.model_copy(update={"server": settings.server.model_copy(update={"profile": profile})})


def running_loop(command: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A click command that runs in the event loop and turns expected errors into failures."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            anyio.run(lambda: command(*args, **kwargs))
        except ConfigError as error:
            raise Refusal(str(error)) from error
        except BaseExceptionGroup as group:
            first = _first(cast("BaseException", group))
            if isinstance(first, KeyboardInterrupt):
                leave_at_once()
            raise first from None
        except KeyboardInterrupt:
            leave_at_once()
        except RuntimeError as error:
            # A second Ctrl-C while the first one closes the loop.
            if isinstance(error.__context__, KeyboardInterrupt):
                leave_at_once()
            raise

    return run


def leave_at_once() -> NoReturn:
    """End as a program that was interrupted does, before another Ctrl-C meets a half-closed event loop.

    The watchdog sees to the upstreams' processes.
    """
    with suppress(OSError, ValueError):
        click.echo("interrupted", err=True)
        sys.stdout.flush()
    os._exit(128 + signal.SIGINT)


def _first(error: BaseException) -> BaseException:
    """The first of the errors that task groups have wrapped."""
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error
