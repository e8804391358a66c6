"""Where the command `switchboard` begins: the greeter first, then everything else."""

import sys

from mcp_proxy import greeting

greeter: greeting.Greeter | None = None
"""At work until `serve` takes over."""


def main() -> None:
    """The command line."""
    global greeter  # noqa: PLW0603  the one thing that is there before anything is loaded
    greeter = greeting.begin(sys.argv[1:])
    from mcp_proxy.cli import main as command  # noqa: PLC0415  takes most of a second

    command()
