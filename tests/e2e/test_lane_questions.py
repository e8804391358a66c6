"""A call that its upstream asks something in the middle of goes on, and ends as it does off the fast lane."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    EmptyResult,
    InputRequiredResult,
    InputResponses,
    SetLevelRequest,
    SetLevelRequestParams,
)

from tests.e2e.bare import ENVELOPE, bare_client
from tests.http.listening import listening
from tests.relay.person import Person, asker
from tests.serving import ERAS, Progress, configured, serving, text_of

MODERN = "2026-07-28"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
FIRST_RAW_ID = 1_000_000_000

CALLS: list[tuple[str, dict[str, Any]]] = [
    (call["tool"], call["arguments"])
    for call in json.loads((Path(__file__).parent / "asking_calls.json").read_text(encoding="utf-8"))
]
FORM = CALLS[0][1]

Way = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def over_http(config: Path, **client: Any) -> AsyncGenerator[Client]:
    async with listening(config) as server, Client(server.url, **client) as connected:
        yield connected


WAYS: dict[str, Way] = {"stdio": serving, "http": over_http}
"""The fast lane, and the SDK's path."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def counts_of(result: CallToolResult) -> dict[str, list[Any]]:
    """What the tool that counts its calls says of them."""
    assert result.structured_content
    return result.structured_content


async def story(way: Way, config: Path, era: str) -> list[Any]:
    """How every call ends, what its client was asked and told, and the progress it saw."""
    told: list[Any] = []
    level: dict[str, Any] = {"log_level": "info"} if era == MODERN else {}
    person = Person()
    async with way(config, mode=era, **level, **person.callbacks()) as client:
        await client.list_tools()
        if era != MODERN:
            request = SetLevelRequest(params=SetLevelRequestParams(level="info"))
            await client.session.send_request(request, EmptyResult)
        for tool, arguments in CALLS:
            progress, person.asked, person.logged = Progress(), [], []
            try:
                with anyio.fail_after(20):
                    result = await client.call_tool(f"a__{tool}", arguments, progress_callback=progress)
                    ended: Any = result.model_dump()
            except MCPError as error:
                ended = error.code, error.message
            told.append((tool, ended, sorted(person.asked), person.logged, progress.steps))
    return told


@pytest.mark.parametrize("behind", ERAS)
@pytest.mark.parametrize("era", ERAS)
async def test_both_ways_ask_and_tell_alike(tmp_path: Path, era: str, behind: str) -> None:
    config = configured(tmp_path, {"a": asker(behind)})
    by_lane, by_sdk = [await story(way, config, era) for way in WAYS.values()]
    for ours, theirs in zip(by_lane, by_sdk, strict=True):
        assert ours == theirs


@pytest.mark.parametrize("behind", ERAS)
@pytest.mark.parametrize("era", ERAS)
async def test_whichever_eras_meet_a_call_takes_the_lane(tmp_path: Path, era: str, behind: str) -> None:
    level: dict[str, Any] = {"log_level": "info"} if era == MODERN else {}
    async with serving(configured(tmp_path, {"a": asker(behind)}), mode=era, **level) as client:
        await client.list_tools()
        # What a client wants to be logged, an upstream is told before its first call: only then is the lane free.
        await client.call_tool("a__note", {"level": "error", "data": "x"})
        result = await client.call_tool("a__ask_counted", {})
    [number] = counts_of(result)["calls"]
    assert number >= FIRST_RAW_ID


async def test_a_call_that_is_asked_something_is_made_once(tmp_path: Path) -> None:
    config = configured(tmp_path, {"a": asker("legacy")})
    async with serving(config, mode=MODERN, **Person().callbacks()) as client:
        await client.list_tools()
        result = await client.call_tool("a__ask_counted", FORM)
    [number] = counts_of(result)["calls"]
    assert number >= FIRST_RAW_ID


async def asked(client: Client, tool: str = "a__ask", **more: Any) -> InputRequiredResult:
    """The question that a call is answered with."""
    await client.list_tools()
    result = await client.session.call_tool(
        tool, {**FORM, **more}, allow_input_required=True, progress_callback=Progress()
    )
    assert isinstance(result, InputRequiredResult)
    return result


async def test_an_upstream_that_dies_while_it_is_answered_is_told_of(tmp_path: Path, way: Way) -> None:
    config = configured(tmp_path, {"a": asker("legacy")})
    async with way(config, mode=MODERN, **Person().callbacks()) as client:
        question = await asked(client)
        assert (await client.call_tool("a__crash", {})).is_error
        answers: InputResponses = dict.fromkeys(question.input_requests or {}, ElicitResult(action="decline"))
        result = await client.session.call_tool(
            "a__ask", FORM, request_state=question.request_state, input_responses=answers
        )
    assert "the connection closed" in text_of(result)


@pytest.mark.parametrize("behind", ERAS)
async def test_cancelling_a_call_whose_question_is_open_cancels_it_upstream(
    tmp_path: Path, way: Way, behind: str
) -> None:
    """A handshake-era client keeps its call open while it is asked."""
    asking, answered = anyio.Event(), anyio.Event()

    async def ponder(_: ClientRequestContext, __: ElicitRequestParams) -> ElicitResult:
        asking.set()
        await answered.wait()
        return ElicitResult(action="decline")

    config = configured(tmp_path, {"a": asker(behind)})
    async with way(config, mode="legacy", elicitation_callback=ponder) as client:
        await client.list_tools()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "a__ask", FORM)
                await asking.wait()
                tasks.cancel_scope.cancel()
            answered.set()
            assert text_of(await client.call_tool("a__let_go", {"gate": "any"})) == "open"


async def test_cancelling_the_request_that_brings_an_answer_cancels_the_call(
    tmp_path: Path, way: Way
) -> None:
    """A stateless client's call has no request while it is asked; the next one stands for it again."""
    config = configured(tmp_path, {"a": asker("legacy")})
    progress = Progress()

    async with way(config, mode=MODERN, **Person().callbacks()) as client:
        question = await asked(client, "a__ask_counted", hold=True)
        answers: InputResponses = dict.fromkeys(question.input_requests or {}, ElicitResult(action="decline"))
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:

                async def answer() -> None:
                    await client.session.call_tool(
                        "a__ask_counted",
                        {**FORM, "hold": True},
                        request_state=question.request_state,
                        input_responses=answers,
                        progress_callback=progress,
                    )

                tasks.start_soon(answer)
                await progress.begun.wait()
                tasks.cancel_scope.cancel()
            while not (counted := counts_of(await client.call_tool("a__counts", {})))["cancelled"]:
                pass
    assert counted["cancelled"] == counted["calls"]


async def test_a_client_that_brings_its_answer_twice_at_once_is_answered_twice(tmp_path: Path) -> None:
    able: dict[str, Any] = {
        **ENVELOPE,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    async with bare_client(configured(tmp_path, {"a": asker("legacy")}), able) as client:
        await client.request("tools/list")
        call: dict[str, Any] = {"name": "a__ask", "arguments": FORM}
        question = (await client.request("tools/call", **call))["result"]
        answers = {key: {"action": "decline"} for key in question["inputRequests"]}
        params: dict[str, Any] = {
            **call,
            "requestState": question["requestState"],
            "inputResponses": answers,
            "_meta": able,
        }
        lines = [
            json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
            for number in ("one", "two")
        ]
        await client.send("\n".join(lines).encode())
        first, second = await client.receive(), await client.receive()
    assert {first["id"], second["id"]} == {"one", "two"}
    assert first["result"] == second["result"]


MALFORMED: list[dict[str, Any]] = [
    {"io.modelcontextprotocol/clientCapabilities": {"elicitation": 5}},
    {"io.modelcontextprotocol/clientInfo": {}},
    {LOG_LEVEL: "loud"},
    {"progressToken": [1]},
]


@pytest.mark.parametrize("odd", MALFORMED, ids=str)
async def test_a_malformed_envelope_is_refused_before_the_upstream_sees_the_call(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    async with bare_client(configured(tmp_path, {"a": asker("legacy")}), ENVELOPE) as client:
        await client.request("tools/list")
        for _ in range(2):
            answer = await client.request("tools/call", name="a__ask_counted", arguments={}, _meta=odd)
            assert answer["error"]["code"] == -32602
        counted = await client.request("tools/call", name="a__counts", arguments={})
    assert counted["result"]["structuredContent"]["calls"] == []


async def test_two_questions_at_once_are_both_answered(tmp_path: Path, way: Way) -> None:
    ada = Person()
    config = configured(tmp_path, {"a": asker("legacy")})
    async with way(config, mode=MODERN, **ada.callbacks()) as client:
        await client.list_tools()
        result = await client.call_tool("a__ask_both", FORM)
    assert set(result.structured_content or {}) == {"one", "two"}
    assert sorted(ada.asked) == ["one", "two"]


async def test_no_question_of_a_crowd_of_calls_is_lost(tmp_path: Path) -> None:
    """Nothing says which call a question belongs to: the newest is asked, perhaps for many of them."""
    ada, ended = Person(), list[bool]()
    config = configured(tmp_path, {"a": asker("legacy")})

    async def call(client: Client) -> None:
        ended.append((await client.call_tool("a__ask", FORM)).is_error)

    async with serving(config, mode=MODERN, input_required_max_rounds=1000, **ada.callbacks()) as client:
        await client.list_tools()
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(call, client)
    assert ended == [False] * 100
    assert len(ada.asked) == 100


@pytest.mark.parametrize("envelope", [None, {**ENVELOPE, LOG_LEVEL: "info"}], ids=ERAS)
async def test_an_answer_never_overtakes_the_log_entries_before_it(
    tmp_path: Path, envelope: dict[str, Any] | None
) -> None:
    async with bare_client(configured(tmp_path, {"a": asker("legacy")}), envelope) as client:
        await client.request("tools/list")
        for number in range(30):
            client.notifications.clear()
            await client.request("tools/call", name="a__note", arguments={"level": "error", "data": number})
            heard = [message.get("params") for message in client.notifications]
            assert {"level": "error", "data": number} in heard
