"""Results over the budget: cut on both ways through Switchboard, kept for who got them, and read back whole."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult, EmbeddedResource, ImageContent, TextContent, TextResourceContents

from tests.e2e.bare import bare_client
from tests.http.listening import listening
from tests.serving import ERAS, configured, script, serving, text_of

TOKENS = 1500


def config(
    folder: Path, *, budget: int = TOKENS, upstream: dict[str, Any] | None = None, **results: Any
) -> Path:
    table = {"path": str(folder / "results"), "budget": budget, **results}
    return configured(folder, {"long": {**script("lengthy"), **(upstream or {})}}, results=table)


def note_of(result: CallToolResult) -> dict[str, Any]:
    """The arguments that a cut result, or a passage, names to read on; empty at the end."""
    last = result.content[-1]
    assert isinstance(last, TextContent)
    assert last.text.startswith("[switchboard]")
    named = re.search(r"call \w+ with (\{.*?\})[;.]", last.text)
    return json.loads(named[1]) if named else {}


def shown(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def read_on(client: Client, result: CallToolResult) -> str:
    """All that follows a cut result, read as it says."""
    pieces: list[str] = []
    while onward := note_of(result):
        result = await client.call_tool("read_result", onward)
        assert not result.is_error
        pieces.append(shown(result))
    return "".join(pieces)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("over_http", [False, True])
async def test_a_long_text_is_cut_at_a_line_and_the_rest_is_read_back(
    tmp_path: Path, era: str, over_http: bool
) -> None:
    whole = config(tmp_path, upstream={"result_budget": 0})
    async with serving(whole) as client:
        expected = text_of(await client.call_tool("long__lines", {"count": 300}))
    path = config(tmp_path)

    async def use(client: Client) -> None:
        await client.list_tools()
        result = await client.call_tool("long__lines", {"count": 300})
        assert shown(result).endswith("\n")
        assert shown(result) + await read_on(client, result) == expected
        assert (result.meta or {})["switchboard/kept"]["tokens"] > TOKENS

    if over_http:
        async with listening(path) as server, Client(server.url, mode=era) as client:
            await use(client)
    else:
        async with serving(path, mode=era) as client:
            await use(client)


async def test_json_keeps_its_shape_and_its_items_are_read_on_by_pointer(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as client:
        result = await client.call_tool("long__records", {"count": 500})
        part = json.loads(shown(result))
        assert part["total"] == 500
        *items, left_out = part["items"]
        assert left_out == f"… {500 - len(items)} more items"
        while onward := note_of(result):
            result = await client.call_tool("read_result", onward)
            items += json.loads(shown(result))
    assert [item["id"] for item in items] == list(range(500))


async def test_structured_content_stays_whole_where_it_is_promised_and_is_left_out_elsewhere(
    tmp_path: Path,
) -> None:
    async with serving(config(tmp_path)) as client:
        await client.list_tools()
        promised = await client.call_tool("long__promised", {"count": 500})
        assert promised.structured_content
        assert len(promised.structured_content["items"]) == 500
        assert len(json.loads(shown(promised))["items"]) < 500
        unpromised = await client.call_tool("long__unpromised", {"count": 500})
        assert unpromised.structured_content is None
        assert "structuredContent is left out" in text_of(unpromised)
        alone = await client.call_tool("long__only_structured", {"count": 500})
        assert alone.structured_content is None
        arguments = {"handle": note_of(alone)["handle"], "pointer": "/items/499/name"}
        assert shown(await client.call_tool("read_result", arguments)) == "record 499"


@pytest.mark.parametrize("structured", ["keep", "shorten"])
async def test_structured_content_that_only_repeats_the_text_is_cut_with_it(
    tmp_path: Path, structured: str
) -> None:
    async with serving(config(tmp_path, structured=structured)) as client:
        await client.list_tools()
        result = await client.call_tool("long__wrapped", {"count": 2000})
        text = result.content[1]
        assert isinstance(text, TextContent)
        assert result.structured_content == {"result": text.text}
        assert text.text.endswith("\n")
        assert "structuredContent is shortened" in text_of(result)
        assert (text.text + await read_on(client, result)).endswith("the end")


async def test_a_repeated_text_whose_schema_allows_no_cut_goes_whole(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as client:
        await client.list_tools()
        result = await client.call_tool("long__wrapped_whole", {"count": 2000})
        structured: dict[str, Any] = result.structured_content or {}
        assert structured["result"].endswith("the end")
        assert note_of(result)


async def test_a_python_tool_that_answers_with_a_string_keeps_to_the_budget(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    server.write_text(
        "from mcp.server.mcpserver import MCPServer\n"
        "server = MCPServer('words')\n"
        "@server.tool()\n"
        "def words(count: int) -> str:\n"
        "    return 'some words here\\n' * count\n"
        "server.run()\n",
        encoding="utf-8",
    )
    table = {"path": str(tmp_path / "results")}
    path = configured(tmp_path, {"words": {"command": sys.executable, "args": [str(server)]}}, results=table)
    async with serving(path) as client:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "words__words"]
        assert (tool.output_schema or {})["properties"]["result"]["type"] == "string"
        result = await client.call_tool("words__words", {"count": 15_000})
        assert result.structured_content == {"result": shown(result)}
        assert len(result.model_dump_json()) < 150_000


async def test_promised_structured_content_may_be_shortened_as_its_schema_allows(tmp_path: Path) -> None:
    async with serving(config(tmp_path, structured="shorten")) as client:
        await client.list_tools()
        result = await client.call_tool("long__promised", {"count": 500})
        structured = result.structured_content
        assert structured
        assert structured["total"] == 500
        assert 0 < len(structured["items"]) < 500
        assert "structuredContent is shortened" in text_of(result)


async def test_what_is_no_text_is_handed_on_and_text_resources_share_the_budget(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as client:
        result = await client.call_tool("long__blocks", {"count": 2000})
        first, picture, resource, other, note = result.content
        assert (result.meta or {})["example.com/x"] == 1
        assert isinstance(first, TextContent)
        assert isinstance(picture, ImageContent)
        assert isinstance(other, ImageContent)
        assert isinstance(resource, EmbeddedResource)
        assert isinstance(resource.resource, TextResourceContents)
        assert 0 < len(resource.resource.text) < 20_000
        assert isinstance(note, TextContent)
        assert (await read_on(client, result)).endswith("last")


async def test_a_tool_may_declare_that_its_results_are_long(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as client:
        assert text_of(await client.call_tool("long__allowed", {"count": 3000})).count("\n") == 2999
        assert note_of(await client.call_tool("long__allowed", {"count": 9000}))


async def test_what_do_calls_keeps_to_the_budget_too(tmp_path: Path) -> None:
    table = {"path": str(tmp_path / "results"), "budget": TOKENS}
    path = configured(tmp_path, {"long": script("lengthy")}, results=table, planner={"threshold": 0.3})
    async with serving(path) as client:
        result = await client.call_tool("do", {"task": "call the tool long lines with count 900"})
        assert (result.structured_content or {})["ending"] == "done", text_of(result)
        assert len(text_of(result)) < 10_000
        assert "read_result" in text_of(result)


async def test_without_a_budget_nothing_is_cut_and_there_is_nothing_to_read_on_with(tmp_path: Path) -> None:
    async with serving(config(tmp_path, budget=0)) as client:
        assert "read_result" not in {tool.name for tool in (await client.list_tools()).tools}
        assert text_of(await client.call_tool("long__lines", {"count": 5000})).count("\n") == 4999
    assert not (tmp_path / "results").exists()


async def test_a_kept_result_outlives_a_restart_for_the_one_client_on_stdio(tmp_path: Path) -> None:
    path = config(tmp_path)
    async with serving(path) as client:
        onward = note_of(await client.call_tool("long__lines", {"count": 300}))
    async with serving(path) as client:
        assert not (await client.call_tool("read_result", onward)).is_error


async def test_over_http_nobody_reads_what_another_got(tmp_path: Path) -> None:
    async with listening(config(tmp_path)) as server, Client(server.url, mode="legacy") as one:
        onward = note_of(await one.call_tool("long__lines", {"count": 300}))
        async with Client(server.url, mode="legacy") as other:
            refused = await other.call_tool("read_result", onward)
            assert refused.is_error
            assert "there is no result" in text_of(refused)
        assert not (await one.call_tool("read_result", onward)).is_error


async def test_each_token_reads_its_own_in_either_era(tmp_path: Path) -> None:
    import httpx2  # noqa: PLC0415
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

    tokens = ["alpha-0123456789abcdef", "beta-0123456789abcdef"]
    table = {"path": str(tmp_path / "results"), "budget": TOKENS}
    path = configured(tmp_path, {"long": script("lengthy")}, results=table, server={"tokens": tokens})
    onward: dict[str, Any] = {}
    async with listening(path) as server:
        url = server.url
        for era, token, is_refused in (
            ("legacy", 0, False),
            ("2026-07-28", 0, False),
            ("legacy", 1, True),
            ("2026-07-28", 1, True),
        ):
            headers = {"authorization": f"Bearer {tokens[token]}"}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=30) as http,
                Client(streamable_http_client(url, http_client=http), mode=era) as client,
            ):
                await client.list_tools()
                onward = onward or note_of(await client.call_tool("long__lines", {"count": 300}))
                assert (await client.call_tool("read_result", onward)).is_error == is_refused


async def test_a_hundred_long_results_at_once_are_each_kept_apart(tmp_path: Path) -> None:
    handles: set[str] = set()
    async with serving(config(tmp_path)) as client, anyio.create_task_group() as tasks:

        async def call(count: int) -> None:
            result = await client.call_tool("long__lines", {"count": count})
            handles.add(note_of(result)["handle"])
            last = {"handle": note_of(result)["handle"], "line": count}
            assert shown(await client.call_tool("read_result", last)).startswith(f"line {count}:")

        for count in range(300, 400):
            tasks.start_soon(call, count)
    assert len(handles) == 100


async def test_a_hundred_megabytes_are_cut_kept_and_other_calls_go_on(tmp_path: Path) -> None:
    async with bare_client(config(tmp_path)) as client:
        await client.request("tools/list")
        call = {"name": "long__bulk", "arguments": {"count": 100_000_000}}
        result = (await client.request("tools/call", **call))["result"]
        assert len(json.dumps(result)) < 20_000
        handle = result["_meta"]["switchboard/kept"]["handle"]
        arguments = {"handle": handle, "line": 1_000_000}
        last = (await client.request("tools/call", name="read_result", arguments=arguments))["result"]
        assert last["content"][0]["text"] == "x" * 99 + "\n"
    assert (tmp_path / "results" / handle).stat().st_size > 100_000_000


async def test_a_result_that_cannot_be_kept_is_handed_on_whole(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    async with serving(config(tmp_path)) as client:
        assert text_of(await client.call_tool("long__lines", {"count": 300})).count("\n") == 299


async def test_a_call_cancelled_or_a_client_gone_in_the_middle_of_a_cut_leaves_the_server_well(
    tmp_path: Path,
) -> None:
    path = config(tmp_path)
    async with bare_client(path) as client:
        await client.request("tools/list")
        call = b'{"jsonrpc":"2.0","id":"mine","method":"tools/call","params":{"name":"long__lines","arguments":{"count":20000}}}'
        cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"mine"}}'
        for _ in range(5):
            await client.send(call)
            await client.send(cancel)
        answer = await client.request("tools/call", name="long__lines", arguments={"count": 2})
        assert answer["result"]["content"][0]["text"].startswith("line 1:")
        await client.send(call)
    async with serving(path) as client:
        assert not (await client.call_tool("long__lines", {"count": 2})).is_error


NONSENSE: list[dict[str, Any]] = [
    {},
    {"handle": ""},
    {"handle": "../../etc/passwd"},
    {"handle": "0" * 24},
    {"handle": "é" * 1000},
    {"handle": "0" * 24, "offset": -1},
    {"handle": "0" * 24, "offset": 10**30},
    {"handle": "0" * 24, "line": 1, "search": "x"},
    {"handle": "0" * 24, "lines": 3},
    {"handle": "0" * 24, "search": ""},
    {"handle": 7},
]


async def test_reading_nonsense_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as client:
        for arguments in NONSENSE:
            result = await client.call_tool("read_result", arguments)
            assert result.is_error, arguments
            assert len(text_of(result)) < 1000


async def test_an_upstream_that_has_a_tool_of_that_name_keeps_it(tmp_path: Path) -> None:
    table = {"path": str(tmp_path / "results"), "budget": TOKENS}
    path = configured(tmp_path, {"own": {**script("own_read_result"), "prefix": ""}}, results=table)
    async with serving(path) as client:
        assert "switchboard_read_result" in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("read_result", {})
        last = result.content[-1]
        assert isinstance(last, TextContent)
        assert "call switchboard_read_result with" in last.text
        assert not (await client.call_tool("switchboard_read_result", note_of(result))).is_error
