"""What a client sees of its upstreams: every tool, prompt and resource, in both eras, unchanged."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import TextContent, TextResourceContents

from tests.serving import ERAS, Progress, configured, script, serving, text_of


@pytest.fixture(params=ERAS)
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Client]:
    config = configured(tmp_path, {"echo": script("echo"), "second": script("echo")})
    async with serving(config, mode=request.param) as connected:
        yield connected


async def test_every_tool_of_every_upstream_is_listed_under_its_own_name(client: Client) -> None:
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert names[:3] == ["do", "plan", "read_result"]
    assert [name for name in names if name.endswith("__echo")] == ["echo__echo", "second__echo"]
    assert len(names) == len(set(names)) == 3 + 2 * 6


async def test_a_definition_arrives_as_the_upstream_wrote_it(client: Client) -> None:
    upstream = script("echo")
    async with Client(StdioServerParameters(command=upstream["command"], args=upstream["args"])) as direct:
        theirs = {tool.name: tool for tool in (await direct.list_tools()).tools}
    ours = {tool.name: tool for tool in (await client.list_tools()).tools}
    for name, tool in theirs.items():
        assert ours[f"echo__{name}"] == tool.model_copy(update={"name": f"echo__{name}"})


async def test_a_call_reaches_its_upstream_and_its_result_comes_back_unchanged(client: Client) -> None:
    result = await client.call_tool("echo__add", {"a": 2, "b": 3})
    assert result.structured_content == {"sum": 5}
    assert (result.meta or {})["example.com/origin"] == {"kept": True}
    assert not result.is_error


async def test_namesakes_are_told_apart(client: Client) -> None:
    first = await client.call_tool("echo__env", {})
    second = await client.call_tool("second__env", {})
    assert (first.structured_content or {})["pid"] != (second.structured_content or {})["pid"]


async def test_a_tools_own_error_is_passed_on_as_it_is(client: Client) -> None:
    result = await client.call_tool("echo__fail", {})
    assert result.is_error
    assert text_of(result) == "it failed, as it always does"


async def test_arguments_that_do_not_fit_never_reach_the_upstream(client: Client) -> None:
    result = await client.call_tool("echo__add", {"a": "two", "c": 1})
    assert result.is_error
    assert '/a: expected number, got "two"' in text_of(result)
    assert "/b: required but missing" in text_of(result)


async def test_an_unknown_tool_is_a_protocol_error_that_names_near_ones(client: Client) -> None:
    with pytest.raises(MCPError, match="echo__echo") as caught:
        await client.call_tool("echo__ecko", {"text": "x"})
    assert caught.value.code == -32602


async def test_progress_reaches_the_client(client: Client) -> None:
    progress = Progress()
    await client.call_tool("echo__slow", {"seconds": 0.1}, progress_callback=progress)
    assert (0, 10, "step 0") in progress.steps


async def test_a_cancelled_call_is_cancelled_upstream(client: Client, tmp_path: Path) -> None:
    marker = tmp_path / "cancelled"
    progress = Progress()

    async def call() -> None:
        arguments = {"seconds": 60, "marker": str(marker)}
        await client.call_tool("echo__slow", arguments, progress_callback=progress)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await progress.begun.wait()
            tasks.cancel_scope.cancel()
        while not marker.exists():
            await client.call_tool("echo__echo", {"text": "still there"})


async def test_a_hundred_calls_at_once_each_get_their_own_answer(client: Client) -> None:
    answers: dict[int, str] = {}

    async def call(number: int) -> None:
        upstream = "echo" if number % 2 else "second"
        answers[number] = text_of(await client.call_tool(f"{upstream}__echo", {"text": str(number)}))

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(call, number)
    assert answers == {number: str(number) for number in range(100)}


async def test_prompts_and_resources_pass_through(client: Client) -> None:
    assert [prompt.name for prompt in (await client.list_prompts()).prompts] == [
        "echo__greet",
        "second__greet",
    ]
    message = (await client.get_prompt("second__greet", {"name": "Ada"})).messages[0]
    assert isinstance(message.content, TextContent)
    assert message.content.text == "Hello, Ada!"
    assert [resource.uri for resource in (await client.list_resources()).resources] == ["echo://readme"]
    templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == ["echo://said/{text}"]
    contents = (await client.read_resource("echo://said/hello")).contents[0]
    assert isinstance(contents, TextResourceContents)
    assert contents.text == "hello"


async def test_an_unknown_prompt_or_resource_is_named(client: Client) -> None:
    with pytest.raises(MCPError, match="echo__nothing"):
        await client.get_prompt("echo__nothing", {})
    with pytest.raises(MCPError, match="nowhere://at-all"):
        await client.read_resource("nowhere://at-all")
