"""`switchboard schema`: it agrees with what the configuration itself accepts and refuses."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.protocols import Validator

from mcp_proxy.config_schema import config_schema
from tests.setup.command import place

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
CASES = ROOT / "tests" / "config"

SCHEMA: Validator = Draft7Validator(config_schema())

BEYOND_A_SCHEMA = {
    "an address that is none",
    "no prefix beside another upstream",
    "two upstreams under one prefix, where the name has to be quoted",
    "all the time in the world",
    "a key copied with something else",
    "a base URL that is none",
    "the stateless era over the older transport",
    "a variable that is not set, outside of upstreams",
    "escalation without a model",
    "Claude without a key",
    "one who is asked twice",
    "a budget in dollars without prices",
    "a profile's budget in dollars without prices",
}
"""What is wrong with these lies in a text, in the environment, or between tables."""

NO_TOML = {"TOML that is none", "an upstream written twice"}


def cases(name: str) -> list[Any]:
    table = tomllib.loads((CASES / name).read_text(encoding="utf-8"))["case"]
    return [
        pytest.param(case, id=case["name"])
        for case in table
        if case.get("format", "toml") == "toml" and case["name"] not in NO_TOML
    ]


def test_it_is_a_schema_of_its_dialect_and_the_same_every_time(tmp_path: Path) -> None:
    Draft7Validator.check_schema(config_schema())
    first, second = (place(tmp_path / name).run("schema") for name in ("first", "second"))
    assert first.stdout == second.stdout
    assert json.loads(first.stdout) == config_schema()
    assert str(tmp_path) not in first.stdout


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.name)
def test_every_shipped_configuration_is_valid(file: Path) -> None:
    SCHEMA.validate(tomllib.loads(file.read_text(encoding="utf-8")))


def test_the_reference_in_the_readme_is_valid() -> None:
    reference, _ = re.findall(
        r"```toml\n(.*?)```", (CONFIGS / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    SCHEMA.validate(tomllib.loads(reference))


@pytest.mark.parametrize("case", [*cases("accepted.toml"), *cases("lacking.toml")])
def test_what_the_configuration_accepts_is_valid(case: dict[str, Any]) -> None:
    SCHEMA.validate(tomllib.loads(case["text"].removeprefix("\ufeff")))


@pytest.mark.parametrize("case", cases("refused.toml"))
def test_what_the_configuration_refuses_for_its_structure_is_not(case: dict[str, Any]) -> None:
    assert SCHEMA.is_valid(tomllib.loads(case["text"])) == (case["name"] in BEYOND_A_SCHEMA)


def test_every_key_and_every_table_is_explained() -> None:
    schema = config_schema()
    tables = {"": schema, **schema["$defs"]}
    assert all(table["description"] for table in tables.values())
    unexplained = [
        f"{name}.{key}"
        for name, table in tables.items()
        for key, value in table.get("properties", {}).items()
        if not (value.get("description") or "$ref" in value)
    ]
    assert unexplained == []


def test_editors_are_told_what_a_key_means_and_its_default() -> None:
    schema = config_schema()
    wait = schema["$defs"]["ServerSettings"]["properties"]["startup_wait"]
    assert wait["description"] == "Seconds the first tools/list waits for upstreams to start."
    assert wait["default"] == 10.0
    inherited = schema["$defs"]["HttpUpstream"]["properties"]["prefix"]
    assert inherited["description"].startswith("Stands before the names")
    assert "prefix" not in schema["$defs"]["HttpUpstream"]["required"]
