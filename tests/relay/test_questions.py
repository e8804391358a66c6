"""What an upstream asks during a call reaches the client whose call it is, and the answer goes back."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import stdio_client
from mcp_types import ElicitResult, InputRequiredResult, InputResponses

from mcp_proxy.raw_client import RawClient
from tests.http.listening import free_port, listening, until_open
from tests.relay.person import ASKER, Person, asker, begun
from tests.serving import ERAS, command, configured, serving, text_of

QUESTIONS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "questions.json").read_text(encoding="utf-8")
)
FORM, SAMPLING = QUESTIONS[0]["asked"], QUESTIONS[-1]["asked"]


@pytest.fixture(scope="module", params=ERAS, ids=lambda era: f"client-{era}")
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=ERAS, ids=lambda era: f"upstream-{era}")
def behind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ada() -> Person:
    return Person()


@pytest.fixture(scope="module")
async def client(
    era: str, behind: str, ada: Person, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Client]:
    config = configured(tmp_path_factory.mktemp("relay"), {"a": asker(behind)}, planner={"threshold": 0.0})
    async with serving(config, mode=era, **ada.callbacks()) as connected:
        await connected.list_tools()
        yield connected


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["name"])
async def test_a_question_reaches_the_caller_and_the_answer_the_upstream(
    client: Client, ada: Person, question: dict[str, Any]
) -> None:
    ada.asked.clear()
    result = await client.call_tool("a__ask", question["asked"])
    assert ada.asked == [question["heard"]]
    assert result.structured_content == {"answer": question["answer"]}


async def test_one_call_may_ask_again_and_again(client: Client, ada: Person) -> None:
    ada.asked.clear()
    result = await client.call_tool("a__ask", {**FORM, "times": 3})
    assert (result.structured_content or {})["answer"]["action"] == "accept"
    assert ada.asked == ["Your name?"] * 3


async def test_an_upstream_that_never_has_enough_is_stopped(tmp_path: Path) -> None:
    ada = Person()
    config = configured(tmp_path, {"a": asker("2026-07-28")})
    async with serving(config, mode="legacy", **ada.callbacks()) as client:
        await client.list_tools()
        assert not (await client.call_tool("a__ask", {**FORM, "times": 10})).is_error
        with pytest.raises(MCPError, match="wants more"):
            await client.call_tool("a__ask", {**FORM, "times": 11})
    assert len(ada.asked) == 20


async def test_a_question_the_client_has_not_declared_to_answer_is_refused_in_words(
    era: str, behind: str, tmp_path: Path
) -> None:
    only_forms = {"elicitation_callback": Person().fill_in}
    async with serving(configured(tmp_path, {"a": asker(behind)}), mode=era, **only_forms) as client:
        # Between two stateless ones nobody has to refuse: the question goes to the client, which does.
        with pytest.raises(MCPError, match=r"sampling/createMessage|Sampling not supported"):
            await client.call_tool("a__ask", SAMPLING)


async def test_a_call_that_do_makes_may_ask_too(client: Client, ada: Person) -> None:
    ada.asked.clear()
    result = await client.call_tool("do", {"task": "book a table at the restaurant 'Luigi'"})
    outcome: dict[str, Any] = result.structured_content or {}
    assert (outcome["ending"], ada.asked) == ("done", ["For how many at Luigi?"])
    assert outcome["result"] == {"answer": {"action": "accept", "content": {"name": "Ada"}}}


async def test_fields_nobody_knows_pass_in_both_directions(tmp_path: Path) -> None:
    answer = {"action": "accept", "content": {"name": "Ada"}, "vendor": {"kept": True}}
    asked: list[dict[str, Any]] = []

    async def reply(_: str, params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params)
        return answer

    async def ignore(_: str, __: dict[str, Any]) -> None:
        """What is told is of no interest here."""

    question = {**FORM, "params": {**FORM["params"], "vendor": [1]}}
    config = command(configured(tmp_path, {"a": asker("legacy")}), "serve")
    async with RawClient(stdio_client(config), mode="legacy", answer=reply, hear=ignore) as client:
        await client.list_tools()
        result = await client.call_tool("a__ask", question)
    assert asked == [question["params"]]
    assert result.structured_content == {"answer": answer}


async def test_a_state_that_the_upstream_cannot_have_made_is_refused(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, {"a": asker("legacy")}), mode="2026-07-28") as client:
        await client.list_tools()
        with pytest.raises(MCPError, match="requestState"):
            await client.session.call_tool("a__let_go", {"gate": "x"}, request_state="made up")


async def test_a_state_answers_its_own_request_only_and_only_until_the_call_has_ended(tmp_path: Path) -> None:
    ada = Person()
    config = configured(tmp_path, {"a": asker("legacy")})
    async with serving(config, mode="2026-07-28", **ada.callbacks()) as client:
        await client.list_tools()
        call = client.session.call_tool
        asked = await call("a__ask", FORM, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        state = asked.request_state
        with pytest.raises(MCPError, match="another request"):
            await call("a__hold", {}, request_state=state)
        answers: InputResponses = dict.fromkeys(asked.input_requests or {}, ElicitResult(action="decline"))
        result = await call("a__ask", FORM, request_state=state, input_responses=answers)
        assert (result.structured_content or {})["answer"] == {"action": "decline"}
        with pytest.raises(MCPError, match="has ended"):
            await call("a__ask", FORM, request_state=state, input_responses=answers)


@asynccontextmanager
async def asker_over(transport: str) -> AsyncGenerator[dict[str, Any]]:
    if transport == "stdio":
        yield asker("legacy")
        return
    port = free_port()
    command = [sys.executable, str(ASKER), "--http", str(port)]
    async with await anyio.open_process(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            with anyio.fail_after(60):
                await until_open(port)
            yield {"url": f"http://127.0.0.1:{port}/mcp", "protocol": "legacy"}
        finally:
            process.terminate()


@asynccontextmanager
async def two_clients(folder: Path, transport: str, era: str) -> AsyncGenerator[list[tuple[Client, Person]]]:
    async with AsyncExitStack() as stack:
        config = configured(folder, {"a": await stack.enter_async_context(asker_over(transport))})
        server = await stack.enter_async_context(listening(config))
        people = [Person("Ada"), Person("Grace")]
        clients = [
            await stack.enter_async_context(Client(server.url, mode=era, **person.callbacks()))
            for person in people
        ]
        for client in clients:
            await client.list_tools()
        yield list(zip(clients, people, strict=True))


async def test_over_http_a_question_finds_the_very_call_that_caused_it(tmp_path: Path, era: str) -> None:
    async with two_clients(tmp_path, "http", era) as ((first, ada), (second, grace)):
        waiting = {"method": "roots/list", "after": "asking"}
        async with begun(first, "a__ask", waiting) as results, begun(second, "a__hold", {"gate": "holding"}):
            await second.call_tool("a__let_go", {"gate": "asking"})
            with anyio.fail_after(20):
                while not results:
                    await second.call_tool("a__let_go", {"gate": "nothing"})
            await second.call_tool("a__let_go", {"gate": "holding"})
    assert results[0].structured_content == {"answer": {"roots": [{"uri": "file:///home/Ada"}]}}
    assert (ada.asked, grace.asked) == (["roots"], [])


async def test_over_stdio_a_question_that_may_be_anybodys_is_put_to_nobody(tmp_path: Path, era: str) -> None:
    async with two_clients(tmp_path, "stdio", era) as ((first, ada), (second, grace)):
        async with begun(first, "a__hold", {"gate": "holding"}):
            with pytest.raises(MCPError, match=r'several clients.*session = "per_client"'):
                await second.call_tool("a__ask", FORM)
            await second.call_tool("a__note", {"level": "error", "data": "whose?"})
            await second.call_tool("a__let_go", {"gate": "holding"})
        assert (ada.asked, grace.asked) == ([], [])
        assert (ada.logged, grace.logged) == ([], [])
        result = await second.call_tool("a__ask", {"method": "roots/list"})
    assert result.structured_content == {"answer": {"roots": [{"uri": "file:///home/Grace"}]}}
    assert (ada.asked, grace.asked) == ([], ["roots"])


async def test_a_call_that_was_given_up_may_still_be_the_one_that_asks(tmp_path: Path) -> None:
    async with two_clients(tmp_path, "stdio", "legacy") as ((first, ada), (second, grace)):
        with anyio.CancelScope() as scope:
            async with begun(first, "a__hold", {"gate": "never"}):
                scope.cancel()
        with pytest.raises(MCPError, match="several clients"):
            await second.call_tool("a__ask", FORM)
    assert (ada.asked, grace.asked) == ([], [])


async def test_one_client_with_several_calls_is_asked_all_the_same(tmp_path: Path) -> None:
    async with (
        two_clients(tmp_path, "stdio", "legacy") as ((first, ada), (_, grace)),
        begun(first, "a__hold", {"gate": "holding"}),
    ):
        answers = await first.call_tool("a__ask", FORM)
        await first.call_tool("a__let_go", {"gate": "holding"})
    assert (answers.structured_content or {})["answer"]["content"] == {"name": "Ada"}
    assert (ada.asked, grace.asked) == (["Your name?"], [])


async def test_a_question_left_open_is_put_again_until_the_time_of_the_call_is_up(tmp_path: Path) -> None:
    config = configured(tmp_path, {"a": asker("legacy", call_timeout=1.0)})
    async with serving(config, mode="2026-07-28", **Person().callbacks()) as client:
        await client.list_tools()
        call = client.session.call_tool
        asked = result = await call("a__ask", FORM, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        with anyio.fail_after(20):
            while isinstance(result, InputRequiredResult):
                assert result == asked
                result = await call(
                    "a__ask", FORM, request_state=asked.request_state, allow_input_required=True
                )
    assert result.is_error
    assert "no answer within 1 s" in text_of(result)
