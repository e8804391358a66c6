"""Real MCP servers and clients from npm, pinned in `tests/npm`: how to start each.

Nothing is skipped when they are absent: a test that needs them fails and says what to run.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mcp import StdioServerParameters

FOLDER = Path(__file__).parent / "npm"
"""Where `package.json` pins them and where they are installed."""

_BIN = FOLDER / "node_modules" / ".bin"


class MissingTestDependencyError(Exception):
    """An npm package the tests run against is not installed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process: a command, its arguments, and variables to add to its environment."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: Path | None = None

    def parameters(self) -> StdioServerParameters:
        """The same for the SDK's client."""
        return StdioServerParameters(
            command=self.command, args=list(self.args), env=dict(self.env), cwd=self.cwd
        )


def claude_flow(cwd: Path) -> Launch:
    """claude-flow over stdio, 353 tools; give each a fresh `cwd`: it keeps its state there."""
    return _launch("claude-flow", "mcp", "start", cwd=cwd)


def filesystem(root: Path) -> Launch:
    """The reference filesystem server over stdio, 14 tools, for the files under `root`."""
    return _launch("mcp-server-filesystem", str(root))


def flow_nexus() -> Launch:
    """flow-nexus over stdio, 94 tools; offline its calls fail after some seconds."""
    return _launch("flow-nexus", "mcp", "start")


def everything_stdio() -> Launch:
    """The reference server over stdio; which tools it lists depends on the client's capabilities."""
    return _launch("mcp-server-everything", "stdio")


def everything_http(port: int) -> Launch:
    """The reference server over streamable HTTP at `http://localhost:{port}/mcp`."""
    return _launch("mcp-server-everything", "streamableHttp", PORT=str(port))


def inspector_cli(*args: str) -> Launch:
    """MCP Inspector's command line; `args` are the server to inspect and `--method …`."""
    return _launch("mcp-inspector", "--cli", *args)


def installed(program: str, folder: Path = _BIN) -> str:
    """The path of `program` in `folder`.

    Raises:
        MissingTestDependencyError: it is not there.
    """
    if not (folder / program).exists():
        raise MissingTestDependencyError(f"{folder / program} is missing: run `make test-deps`")
    return str(folder / program)


def everything_sse(port: int) -> Launch:
    """The reference server over HTTP+SSE at `http://localhost:{port}/sse`."""
    return _launch("mcp-server-everything", "sse", PORT=str(port))


def _launch(program: str, *args: str, cwd: Path | None = None, **env: str) -> Launch:
    """`program` from node_modules, with the Node.js 22 of node_modules first on PATH."""
    node = Path(installed("node")).parent
    path = os.pathsep.join((str(node), os.environ.get("PATH", os.defpath)))
    return Launch(installed(program), args, {"PATH": path, **env}, cwd)
