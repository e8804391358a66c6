"""The files in configs/ work as they stand, and their README tells the truth."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from mcp_proxy.config import StdioUpstream, load
from mcp_proxy.settings import EscalationSettings, PlannerSettings
from mcp_proxy.settings_server import ServerSettings

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
README = (CONFIGS / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
"""The reference of all keys, and profiles."""
SHIPPED = sorted(path.name for path in CONFIGS.iterdir() if path.suffix in {".toml", ".json"})
SCRIPTED = ("ci.sh", "github-actions.yml")
FOR_CLIENTS = [name for name in SHIPPED if name.endswith(".json")]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_configuration_loads_and_is_in_the_readme(name: str) -> None:
    assert load(CONFIGS / name).enabled_upstreams
    assert f"]({name})" in README


@pytest.mark.parametrize("name", FOR_CLIENTS)
def test_every_client_file_is_strict_json_with_one_entry_that_serves(name: str) -> None:
    json.loads((CONFIGS / name).read_text(encoding="utf-8"))
    ((entry, upstream),) = load(CONFIGS / name).upstreams.items()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert entry == "switchboard"
    assert isinstance(upstream, StdioUpstream)
    assert upstream.command in scripts
    assert upstream.args == ("serve",)


def test_the_demo_works_in_a_folder_that_is_there_or_in_the_one_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> set[Path | None]:
        upstreams = load(CONFIGS / "demo.toml").upstreams.values()
        return {upstream.cwd for upstream in upstreams if isinstance(upstream, StdioUpstream)} - {None}

    monkeypatch.delenv("SWITCHBOARD_DEMO", raising=False)
    assert folders() == {CONFIGS / "demo"}
    assert (CONFIGS / "demo").is_dir()
    monkeypatch.setenv("SWITCHBOARD_DEMO", str(tmp_path))
    assert folders() == {tmp_path}


def test_the_reference_in_the_readme_loads_and_shows_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, _ = EXAMPLES
    monkeypatch.setenv("GITHUB_TOKEN", "made-up")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "made-up")
    file = tmp_path / "switchboard.toml"
    file.write_text(reference, encoding="utf-8")
    settings = load(file)
    assert settings.server == ServerSettings()
    assert settings.planner == PlannerSettings()
    assert settings.escalation
    assert settings.escalation.model_fields_set == EscalationSettings.model_fields.keys()
    assert StdioUpstream(command="npx", prefix="files").model_dump(
        exclude={"args", "env", "cwd"}
    ) == settings.upstreams["files"].model_dump(exclude={"args", "env", "cwd"})


def test_the_profiles_in_the_readme_are_as_they_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, profiles = EXAMPLES
    monkeypatch.setenv("READER_TOKEN", "0123456789abcdef")
    file = tmp_path / "switchboard.toml"
    file.write_text(profiles + '[upstreams.files]\ncommand = "files"\n', encoding="utf-8")
    settings = load(file)
    assert settings.server.mode_for("anyone") == "auto"
    assert settings.profiles["reader"].tools["github/create_issue"].fixed == {"repo": "acme/shop"}


def in_a_job(script: str, folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """What becomes of a script in a CI job, where `switchboard` is on the PATH and nobody at the terminal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "SWITCHBOARD_CONFIG": str(config), "HOME": str(folder)}
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("name", SCRIPTED)
def test_every_script_is_in_the_readme(name: str) -> None:
    assert f"]({name})" in README


def test_the_script_for_ci_checks_calls_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = in_a_job(f"sh {CONFIGS / 'ci.sh'}", tmp_path, tmp_path / "not this one")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("42.16") >= 2
    assert list(tmp_path.iterdir()) == []


def test_the_script_for_ci_fails_with_a_server_that_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "switchboard.toml"
    config.write_text("[upstreams.clock]\ncommand = 'no-such-command'\n[journal]\npath = ''\n")
    done = in_a_job(f"sh {CONFIGS / 'ci.sh'} {config}", tmp_path, config)
    assert done.returncode == 1
    assert "'no-such-command' was not found" in done.stdout


def test_the_workflow_for_github_runs_as_it_stands(tmp_path: Path) -> None:
    job = yaml.safe_load((CONFIGS / "github-actions.yml").read_text(encoding="utf-8"))["jobs"]["check"]
    shutil.copy(CONFIGS / "ci.toml", tmp_path / job["env"]["SWITCHBOARD_CONFIG"])
    steps = [step["run"] for step in job["steps"] if "run" in step and step["name"] != "Install"]
    assert len(steps) == 3
    for step in steps:
        done = in_a_job(step, tmp_path, Path(job["env"]["SWITCHBOARD_CONFIG"]))
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "tools.json").read_text())
