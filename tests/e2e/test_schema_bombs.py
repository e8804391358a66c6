"""Schemas made to take long cost their own calls: others are answered meanwhile."""

import json
from collections.abc import AsyncGenerator

import pytest

from tests.e2e.bare import BareClient, bare_client
from tests.e2e.schema_bombs import BOMBS, SLOW
from tests.e2e.test_hostile_calls import call, echoes_until, said, start, told
from tests.serving import configured, script
from tool_registry import Checked, ToolEntry, UnusableSchemaError
from tool_registry.keywords import BRIEF
from tool_registry.schema import TooCostlyError


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[BareClient]:
    folder = tmp_path_factory.mktemp("bombs")
    file = folder / "tools.json"
    file.write_text(
        json.dumps(
            [
                {"name": name, "inputSchema": {"type": "object", **schema}}
                for name, (schema, _) in BOMBS.items()
            ]
        ),
        encoding="utf-8",
    )
    upstreams = {"bad": script("from_file", str(file)), "echo": script("echo")}
    async with bare_client(configured(folder, upstreams, search={"meaning": False})) as connected:
        listed = (await connected.request("tools/list"))["result"]["tools"]
        assert {f"bad__{name}" for name in BOMBS} <= {tool["name"] for tool in listed}
        yield connected


@pytest.mark.parametrize("name", BOMBS)
async def test_whatever_a_schema_takes_its_call_is_answered_and_others_are(
    client: BareClient, name: str
) -> None:
    await start(client, name, f"bad__{name}", **BOMBS[name][1])
    answer, _ = await echoes_until(client, name)
    assert told(answer)
    assert said(await call(client, "echo__echo", text="after")) == "after"


@pytest.mark.parametrize("name", SLOW)
async def test_many_calls_are_answered_while_a_slow_check_goes_on(client: BareClient, name: str) -> None:
    await start(client, name, f"bad__{name}", **BOMBS[name][1])
    _, echoed = await echoes_until(client, name)
    assert echoed >= 5


@pytest.mark.parametrize("name", BOMBS)
def test_a_brief_check_ends_and_says_what_the_whole_one_says(name: str) -> None:
    schema, arguments = BOMBS[name]
    tool = ToolEntry("bad", name, f"bad__{name}", {"name": name, "inputSchema": schema})

    def verdict(*, brief: bool) -> Checked | str | None:
        try:
            return tool.checked_at_once(arguments) if brief else tool.checked(arguments)
        except UnusableSchemaError as error:
            return str(error)

    whole = verdict(brief=False)
    assert verdict(brief=True) in (None, whole)


@pytest.mark.parametrize("name", SLOW)
def test_what_would_take_long_is_not_done_at_once(name: str) -> None:
    schema, value = BOMBS[name]
    tool = ToolEntry("bad", name, name, {"name": name, "inputSchema": schema, "outputSchema": schema})
    assert tool.checked_at_once(value) is None
    with pytest.raises(TooCostlyError):
        tool.output_problems(value, BRIEF)


def test_a_large_schema_is_not_compiled_at_once_until_it_has_been() -> None:
    schema = {"properties": {f"p{each}": {"type": "string"} for each in range(2_000)}}
    tool = ToolEntry("u", "t", "t", {"name": "t", "inputSchema": schema})
    assert tool.checked_at_once({"p1": "x"}) is None
    assert tool.checked({"p1": "x"}) == Checked({"p1": "x"})
    assert tool.checked_at_once({"p1": "x"}) == Checked({"p1": "x"})
