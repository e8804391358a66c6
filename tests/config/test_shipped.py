"""The files in configs/ work as they stand, and their README tells the truth."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from mcp_proxy.config import StdioUpstream, load
from mcp_proxy.settings import EscalationSettings, PlannerSettings, ServerSettings

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
README = (CONFIGS / "README.md").read_text(encoding="utf-8")
SHIPPED = sorted(path.name for path in CONFIGS.iterdir() if path.suffix in {".toml", ".json"})
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
    (reference,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
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
