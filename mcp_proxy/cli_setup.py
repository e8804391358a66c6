"""The commands that set Switchboard up: import, doctor, schema, completion. Registered by `cli`."""

import os
import sys
from pathlib import Path

import anyio
import click
from click.shell_completion import get_completion_class

from mcp_proxy.cli_options import Exit, Refusal, leave_at_once
from mcp_proxy.client_files import CLIENTS, listed_by
from mcp_proxy.config import ConfigError, find
from mcp_proxy.config_file import FILE_NAME
from mcp_proxy.importers import Import, plan_import, read_target, write
from mcp_proxy.render import print_json, print_rows, stderr


@click.command("import")
@click.argument("source", metavar="|".join((*CLIENTS, "PATH")))
@click.option("--to", type=click.Path(path_type=Path), help="The file to add to.  [default: the one in use]")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Only show what would be added.")
@click.pass_obj
def import_(config: Path | None, source: str, to: Path | None, *, yes: bool, dry_run: bool) -> None:
    """Add the servers of an MCP client to switchboard.toml.

    What the file holds stays as it is. Credentials are not copied: environment variables stand for them.
    """
    try:
        change = _planned(source, to or config)
        _show(change)
        if not change.added or dry_run:
            return
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("nobody can be asked here: add --yes to write, or --dry-run to look")
            click.confirm(f"Add this to {change.target}?", abort=True, err=True)
        write(change)
    except ConfigError as error:
        raise Refusal(str(error)) from error
    click.echo(
        f"{len(change.added)} upstreams added to {change.target}; check them: switchboard doctor", err=True
    )


def _planned(source: str, given: Path | None) -> Import:
    folder = Path.cwd()
    lists = listed_by(source, folder)
    target = given.absolute() if given else _in_use(folder)
    return plan_import(lists, target, read_target(target))


def _in_use(folder: Path) -> Path:
    """The configuration that would be found, else one to be made in `folder`."""
    try:
        return find(None)
    except ConfigError:
        return folder / FILE_NAME


def _show(change: Import) -> None:
    """The new tables on stdout, what there is to know about them on stderr."""
    if change.added:
        click.echo(change.tables, nl=False)
    else:
        click.echo(f"nothing to add to {change.target}", err=True)
    for remark in change.remarks:
        click.echo(f"- {remark}", err=True)
    if change.variables:
        click.echo("\nSet these environment variables where Switchboard is started:", err=True)
    for name, place in change.variables.items():
        click.echo(f"  {name}: {place}{' (is set here)' if name in os.environ else ''}", err=True)


@click.command()
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_obj
def doctor(group_config: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Check the configuration, its programs and servers, and what clients will see of them.

    Every server is started once. The exit code is 0 unless a finding is an error.
    """
    from mcp_proxy.doctor import is_sound  # noqa: PLC0415  only this command needs them
    from mcp_proxy.examination import examine  # noqa: PLC0415

    with stderr.status("starting every upstream…"):
        try:
            findings = anyio.run(examine, config or group_config)
        except KeyboardInterrupt:
            leave_at_once()
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        rows = ((finding.level.value, finding.about, finding.message, finding.remedy) for finding in findings)
        print_rows("Findings", ("", "about", "finding", "what to do"), rows)
    if not is_sound(findings):
        raise SystemExit(Exit.FAILED)


@click.command()
def schema() -> None:
    """Print the JSON Schema of switchboard.toml.

    Save it as switchboard.schema.json beside the file, and begin the file with
    `#:schema ./switchboard.schema.json`: editors with Taplo or Even Better TOML then complete and check it.
    """
    from mcp_proxy.config_schema import config_schema  # noqa: PLC0415  reads source, which no other command needs

    print_json(config_schema())


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash  echo 'eval "$(switchboard completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(switchboard completion zsh)"' >> ~/.zshrc
    fish  switchboard completion fish > ~/.config/fish/completions/switchboard.fish
    """  # noqa: D301  click wants the character itself
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  click knows these three
    program = "switchboard"
    click.echo(kind(context.find_root().command, {}, program, "_SWITCHBOARD_COMPLETE").source())


COMMANDS = (import_, doctor, schema, completion)
