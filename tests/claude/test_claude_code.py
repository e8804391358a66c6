"""Claude Code as a client: `claude mcp add`, `get` and `list`, which connect to what was added."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import configured, script

PACKAGES = Path(__file__).parent / "npm" / "node_modules" / "@anthropic-ai"


@pytest.fixture(scope="module")
def claude() -> Path:
    """The program for this platform."""
    found = [path for path in PACKAGES.glob("claude-code-*/claude*") if path.suffix in {"", ".exe"}]
    assert found, "run `make test-deps`"
    return found[0]


def test_it_is_added_as_the_readme_says_and_claude_connects_to_it(tmp_path: Path, claude: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo")})
    home = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}

    def mcp(*words: str) -> str:
        ran = subprocess.run(
            [claude, "mcp", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=home,
            timeout=120,
            check=False,
        )
        # It exits with 0 whatever has become of it.
        return ran.stdout + ran.stderr

    serve = [sys.executable, "-m", "mcp_proxy", "serve", "-c", str(config)]
    assert "Added stdio MCP server switchboard" in mcp("add", "switchboard", "--", *serve)
    assert "Connected" in mcp("get", "switchboard")
    assert "fetch failed" not in (listed := mcp("list"))
    assert "Connected" in listed
