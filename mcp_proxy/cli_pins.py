"""`switchboard pins`: look at what is pinned, at what has changed since, and accept it. Registered by `cli`.

Works on the store alone: no server is started, and one that runs takes note of what is accepted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mcp_proxy.cli_options import Refusal
from mcp_proxy.config import ConfigError, Settings, load
from mcp_proxy.pin_store import Pins, PinStoreError, SqlitePinStore
from mcp_proxy.pinning import source_of
from mcp_proxy.render import print_json, print_rows
from tool_registry.naming import qualify
from tool_registry.pins import Pin, Standing, diff, fingerprint
from tool_registry.scan import scan
from tool_registry.unseen import spelled_out

_SHOWN_DIGITS = 14
"""Of a fingerprint: its version and twelve digits."""


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A pin of a configured upstream, and what it is called on the command line."""

    upstream: str
    qualified: str
    pin: Pin

    def goes_by(self, name: str) -> bool:
        return name in (self.upstream, self.qualified, f"{self.upstream}/{self.pin.name}")

    @property
    def findings(self) -> list[str]:
        return [str(finding) for finding in scan(self.pin.waiting or self.pin.trusted or {})]

    def as_dict(self) -> dict[str, Any]:
        return {
            "upstream": self.upstream,
            "tool": self.qualified,
            "name": self.pin.name,
            "standing": self.pin.standing.value,
            "trusted": _fingerprint(self.pin.trusted),
            "waiting": _fingerprint(self.pin.waiting),
            "findings": self.findings,
        }


class _Opened:
    """The configuration, and the pins of its upstreams."""

    def __init__(self, path: Path | None) -> None:
        try:
            self.settings: Settings = load(path)
        except ConfigError as error:
            raise Refusal(str(error)) from error
        if not self.settings.pins.enabled:
            raise Refusal("[pins] is off in the configuration: nothing is pinned")
        self.store = SqlitePinStore(self.settings.pins.path)
        self.sources: Mapping[str, str] = {
            name: source_of(name, upstream) for name, upstream in self.settings.upstreams.items()
        }

    def all(self) -> list[_Pinned]:
        return [
            _Pinned(name, qualify(self.settings.upstreams[name].prefix, pin.name), pin)
            for name, source in self.sources.items()
            for pin in sorted(self.store.load(source).values(), key=lambda pin: pin.name)
        ]

    def chosen(self, names: Iterable[str]) -> list[_Pinned]:
        """The pins that go by any of the names.

        Raises:
            Refusal: there is nothing of one of the names.
        """
        pinned = self.all()
        for name in names:
            if not any(each.goes_by(name) for each in pinned):
                raise Refusal(
                    f"nothing is pinned under {name!r}; `switchboard pins` lists what is: "
                    "a server, a tool as clients see it, or SERVER/TOOL"
                )
        return [each for each in pinned if any(each.goes_by(name) for name in names)]


class _Commands(click.Group):
    """Turns a store that cannot be used into a failure of the command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PinStoreError as error:
            raise click.ClickException(f"{error}; {error.remedy}") from error


_config = click.option("-c", "--config", type=click.Path(path_type=Path), help="Configuration file.")
_json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group(cls=_Commands, invoke_without_command=True)
@_config
@_json_flag
@click.pass_context
def pins(context: click.Context, config: Path | None, *, as_json: bool) -> None:
    """The tools as they were trusted, and those that wait for a person to look at them.

    Without a command: list them, those that wait first.
    """
    context.obj = config or context.obj
    if context.invoked_subcommand is not None:
        return
    pinned = sorted(_Opened(context.obj).all(), key=lambda each: each.pin.waiting is None)
    if as_json:
        print_json([each.as_dict() for each in pinned])
        return
    print_rows(
        f"{len(pinned)} pins",
        ("upstream", "tool", "standing", "fingerprint", "suspicious"),
        map(_row, pinned),
    )
    if not pinned:
        click.echo("nothing is pinned yet: a server's tools are when it is first started", err=True)


@pins.command("diff")
@click.argument("names", nargs=-1, metavar="[UPSTREAM|TOOL]...")
@_config
@_json_flag
@click.pass_obj
def diff_(group_config: Path | None, names: tuple[str, ...], config: Path | None, *, as_json: bool) -> None:
    """How the tools that wait differ from what was trusted. What cannot be seen is spelled out."""
    opened = _Opened(config or group_config)
    waiting = [each for each in (opened.chosen(names) if names else opened.all()) if each.pin.waiting]
    if as_json:
        print_json([each.as_dict() | {"diff": _diff(each.pin)} for each in waiting])
        return
    for each in waiting:
        click.echo(f"{each.qualified} ({each.pin.standing.value})")
        for line in _diff(each.pin):
            click.secho(f"  {line}", fg={"+": "green", "-": "red"}.get(line.strip()[:1]))
        for finding in each.findings:
            click.secho(f"  suspicious: {finding}", fg="yellow")
    if not waiting:
        click.echo("nothing waits", err=True)


@pins.command()
@click.argument("names", nargs=-1, metavar="[UPSTREAM|TOOL]...")
@click.option("--all", "everything", is_flag=True, help="Everything that waits.")
@_config
@_json_flag
@click.pass_obj
def accept(
    group_config: Path | None, names: tuple[str, ...], config: Path | None, *, everything: bool, as_json: bool
) -> None:
    """Trust what waits, as `pins diff` shows it. A running Switchboard takes note within a second."""
    if bool(names) == everything:
        raise click.UsageError("name servers or tools, or give --all")
    opened = _Opened(config or group_config)
    chosen = [each for each in (opened.all() if everything else opened.chosen(names)) if each.pin.waiting]
    for upstream in dict.fromkeys(each.upstream for each in chosen):
        shown = {each.pin.name: each.pin for each in chosen if each.upstream == upstream}
        # What has changed once more since it was looked up here stays as it is.
        opened.store.revise(opened.sources[upstream], lambda now, shown=shown: _accepted(now, shown))
    if as_json:
        print_json([each.as_dict() for each in chosen])
        return
    for each in chosen:
        click.echo(f"{each.qualified}: accepted {_fingerprint(each.pin.waiting)}")
    if not chosen:
        click.echo("nothing waits", err=True)


@pins.command()
@click.argument("upstream")
@_config
@_json_flag
@click.pass_obj
def reset(group_config: Path | None, upstream: str, config: Path | None, *, as_json: bool) -> None:
    """Forget every pin of UPSTREAM: what it lists next is trusted as on the first day."""
    opened = _Opened(config or group_config)
    if upstream not in opened.sources:
        known = ", ".join(opened.sources)
        raise Refusal(f"there is no upstream {upstream!r}; there are: {known}")
    forgotten = opened.store.forget(opened.sources[upstream])
    if as_json:
        print_json({"upstream": upstream, "forgotten": forgotten})
    else:
        click.echo(f"{upstream}: {forgotten} pins forgotten")


def _accepted(now: Pins, shown: Pins) -> list[Pin]:
    return [pin.accepted() for name, pin in now.items() if pin == shown.get(name) and pin.waiting]


def _diff(pin: Pin) -> list[str]:
    return list(diff(pin.trusted, pin.waiting or {}))


def _fingerprint(definition: Mapping[str, Any] | None) -> str:
    return fingerprint(definition)[:_SHOWN_DIGITS] if definition else ""


def _row(pinned: _Pinned) -> tuple[str, ...]:
    pin = pinned.pin
    suspicious = "; ".join(pinned.findings)
    standing = pin.standing.value if pin.standing is not Standing.NEW else "new, not trusted"
    which = _fingerprint(pin.waiting or pin.trusted)
    return (pinned.upstream, spelled_out(pinned.qualified), standing, which, suspicious)
