"""Tests leave the folders of whoever runs them alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_proxy.config_file import user_folder
from tests.serving import UPSTREAMS


def test_what_a_command_keeps_by_default_is_kept_in_a_scratch_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = user_folder("state")
    assert state.is_relative_to(tmp_path_factory.getbasetemp())
    assert user_folder("config").is_relative_to(tmp_path_factory.getbasetemp())
    config = tmp_path / "switchboard.toml"
    config.write_text(
        f'[upstreams.echo]\ncommand = "{sys.executable}"\nargs = ["{UPSTREAMS / "echo.py"}"]\n',
        encoding="utf-8",
    )
    before = set(state.rglob("*"))
    command = [sys.executable, "-m", "mcp_proxy", "-c", str(config), "call", "echo__echo", "text=kept"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    kept = {path.name for path in {*state.rglob("*")} - before}
    assert {"journal.sqlite", "pins.sqlite", "catalogs"} & kept
    assert [path.name for path in tmp_path.iterdir()] == ["switchboard.toml"]
