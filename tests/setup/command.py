"""The command `switchboard` for a test, in a scratch home: a real process each time."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A home and a project of nobody's."""

    home: Path
    project: Path

    def environment(self, **variables: str) -> dict[str, str]:
        own = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "CLAUDE_", "SWITCHBOARD_"))
        }
        return {**inherited, **own, **variables}

    def run(self, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`switchboard ARGS` in the project, without a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "mcp_proxy", *args],
            cwd=self.project,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def place(folder: Path) -> Place:
    """A fresh home and project in `folder`."""
    made = Place(folder / "home", folder / "home" / "project")
    made.project.mkdir(parents=True)
    return made
