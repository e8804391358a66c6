"""Results against the outputSchema: off, warned of, or replaced by an error; alike on both ways."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bare import BareClient, bare_client
from tests.http.listening import listening, raw
from tests.serving import configured, script


def config(folder: Path, mode: str) -> Path:
    return configured(folder, {"long": {**script("lengthy"), "check_output": mode}})


async def called(client: BareClient, tool: str) -> dict[str, Any]:
    answer = await client.request("tools/call", name=f"long__{tool}", arguments={"count": 3})
    return answer["result"]


@pytest.mark.parametrize("mode", ["off", "warn"])
async def test_a_result_that_does_not_fit_is_handed_on_as_it_is(tmp_path: Path, mode: str) -> None:
    async with bare_client(config(tmp_path, mode)) as client:
        await client.request("tools/list")
        result = await called(client, "broken_promise")
        assert result["structuredContent"] == {"items": "none", "total": 1}
        assert "isError" not in result
        assert (await called(client, "no_promise_kept"))["content"][0]["text"] == "nothing structured"


async def test_enforced_it_is_an_error_that_says_why_and_what_was_answered(tmp_path: Path) -> None:
    async with bare_client(config(tmp_path, "enforce")) as client:
        await client.request("tools/list")
        result = await called(client, "broken_promise")
        assert result["isError"]
        assert "structuredContent" not in result
        why, said = (block["text"] for block in result["content"])
        assert "/items" in why
        assert said == "said"
        missing = await called(client, "no_promise_kept")
        assert "there is no structuredContent" in missing["content"][0]["text"]
        assert (await called(client, "promised"))["structuredContent"]["total"] == 3
        assert (await called(client, "failing"))["content"] == [{"type": "text", "text": "failed"}]


async def test_it_is_the_same_over_http_and_the_log_names_the_tool_once(tmp_path: Path) -> None:
    async with listening(config(tmp_path, "warn"), "--log-level", "info") as server, raw(server) as http:
        for number in range(2):
            body = {
                "jsonrpc": "2.0",
                "id": number,
                "method": "tools/call",
                "params": {
                    "name": "long__broken_promise",
                    "arguments": {"count": 1},
                    "_meta": {
                        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                        "io.modelcontextprotocol/clientCapabilities": {},
                        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
                    },
                },
            }
            headers = {
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": "tools/call",
                "mcp-name": "long__broken_promise",
            }
            answer = await http.post("/mcp", json=body, headers=headers)
            assert '"items":"none"' in answer.text.replace(" ", "")
    assert server.log.count('"result.unfit"') == 1
