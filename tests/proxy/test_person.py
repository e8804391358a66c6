"""The user behind a client, asked in both eras through a real client, before a real notebook is written to."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client, MCPError
from mcp.client import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
    Result,
)

from local_llm import Call, Plan, Planner
from local_llm.scripted import FailingPlanner, ScriptedPlanner
from mcp_proxy.config import Settings
from mcp_proxy.desk import Desk
from mcp_proxy.running import running
from mcp_proxy.server import Front
from mcp_proxy.switchboard import Switchboard
from tests.serving import ERAS, configured, demo, outcome_of, serving, text_of

UNTITLED = "add a note saying call the plumber"


@dataclass
class User:
    """Answers forms with what it was told, in order, and keeps the forms."""

    answers: list[ElicitResult | ErrorData]
    forms: list[ElicitRequestFormParams] = field(default_factory=list[ElicitRequestFormParams])

    async def __call__(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams), f"{context} wants a {type(params).__name__}"
        self.forms.append(params)
        return self.answers.pop(0)


def accepting(**content: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=content)


DECLINING = ElicitResult(action="decline")


@asynccontextmanager
async def switchboard(folder: Path, planner: Planner | None = None) -> AsyncGenerator[Switchboard]:
    """A switchboard in this process, in front of a notebook in `folder`."""
    notes = demo("notes", "--database", str(folder / "notes.sqlite"))
    settings = Settings.model_validate({"upstreams": {"notes": notes}, "journal": {"enabled": False}})
    async with running(settings, planner) as board:
        await board.wait_started()
        yield board


@pytest.fixture(scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Front]:
    async with switchboard(tmp_path_factory.mktemp("notes")) as board:
        yield Front(Desk(board))


def client_of(front: Front, era: str, user: User | None = None) -> Client:
    return Client(front.server, mode=era, elicitation_callback=user)


async def do(client: Client, task: str, **more: Any) -> CallToolResult:
    return await client.call_tool("do", {"task": task, **more})


async def a_note(client: Client) -> int:
    """The id of a note that was just written."""
    note = outcome_of(await client.call_tool("notes__add_note", {"title": "Keep", "text": "me"}))
    return int(note["id"])


async def is_there(client: Client, note: int) -> bool:
    return not (await client.call_tool("notes__read_note", {"id": note})).is_error


async def titles(client: Client) -> list[str]:
    listed = outcome_of(await client.call_tool("notes__list_notes", {"limit": 100}))
    return [note["title"] for note in listed["notes"]]


@pytest.mark.parametrize("era", ERAS)
async def test_a_missing_value_is_asked_for_and_filled_in(front: Front, era: str) -> None:
    user = User([accepting(title=f"House {era}")])
    async with client_of(front, era, user) as client:
        result = await do(client, UNTITLED)
        assert f"House {era}" in await titles(client)
    (form,) = user.forms
    assert form.message == "notes__add_note needs title, which the task does not give. Please fill it in."
    assert form.requested_schema["required"] == ["title"]
    title: Mapping[str, Any] = form.requested_schema["properties"]["title"]
    assert (title["type"], title["description"]) == ("string", "A short title for the note")
    assert outcome_of(result)["ending"] == "done"
    assert outcome_of(result)["call"]["arguments"] == {"title": f"House {era}", "text": "call the plumber"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_does_not_want_to_is_left_alone(
    front: Front, era: str, action: Literal["decline", "cancel"]
) -> None:
    user = User([ElicitResult(action=action)])
    async with client_of(front, era, user) as client:
        before = await titles(client)
        result = await do(client, UNTITLED)
        assert await titles(client) == before
    assert result.is_error
    assert outcome_of(result)["ending"] == "declined"
    assert len(user.forms) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_ask_is_told_what_is_missing_and_may_answer_by_calling_again(
    front: Front, era: str
) -> None:
    async with client_of(front, era) as client:
        result = await do(client, UNTITLED)
        assert result.is_error
        outcome = outcome_of(result)
        assert (outcome["ending"], outcome["missing"]) == ("needs", ["title"])
        assert 'this client cannot ask the user: call again with answers {"title": …}' in outcome["reason"]
        again = outcome_of(await do(client, UNTITLED, answers={"title": "Later"}))
    assert again["ending"] == "done"
    assert again["call"]["arguments"] == {"title": "Later", "text": "call the plumber"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("answer", "survives"), [(accepting(), False), (DECLINING, True)])
async def test_a_destructive_call_waits_for_a_yes(
    front: Front, era: str, answer: ElicitResult, survives: bool
) -> None:
    user = User([answer])
    async with client_of(front, era, user) as client:
        note = await a_note(client)
        result = await do(client, f"delete note {note}")
        assert await is_there(client, note) is survives
    (form,) = user.forms
    assert form.message.endswith(
        f'needs a person\'s approval. Call notes__delete_note with {{"id": {note}}}?'
    )
    assert form.requested_schema["properties"] == {}
    assert outcome_of(result)["ending"] == ("declined" if survives else "done")


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_ask_for_approval_is_told_how_to_go_ahead(front: Front, era: str) -> None:
    async with client_of(front, era) as client:
        note = await a_note(client)
        outcome = outcome_of(await do(client, f"delete note {note}"))
        assert await is_there(client, note)
    assert outcome["ending"] == "needs"
    assert outcome["reason"].endswith("to go ahead, call notes__delete_note directly")


async def test_an_approval_given_for_one_call_is_not_taken_for_another(front: Front) -> None:
    async with client_of(front, "2026-07-28", User([])) as client:
        mine, other = await a_note(client), await a_note(client)

        async def delete(note: int, **answered: Any) -> Result:
            task = {"task": f"delete note {note}"}
            return await client.session.call_tool("do", task, allow_input_required=True, **answered)

        asked = await delete(mine)
        assert isinstance(asked, InputRequiredResult)
        yes = dict.fromkeys(asked.input_requests or {}, accepting())
        with pytest.raises(MCPError, match="requestState belongs to another request"):
            await delete(other, input_responses=yes, request_state=asked.request_state)
        assert await is_there(client, other)
        assert await is_there(client, mine)

        done = await delete(mine, input_responses=yes, request_state=asked.request_state)
        assert isinstance(done, CallToolResult)
        assert not await is_there(client, mine)
        assert await is_there(client, other)


@pytest.mark.parametrize(
    "state", ["not json", "[]", '{"approval-0": 7}', '{"approval-0": {"action": "hmm"}}', "7"]
)
async def test_a_state_that_is_not_ours_answers_nothing(front: Front, state: str) -> None:
    async with client_of(front, "2026-07-28", User([])) as client:
        note = await a_note(client)
        asked = await client.session.call_tool(
            "do", {"task": f"delete note {note}"}, allow_input_required=True, request_state=state
        )
        assert isinstance(asked, InputRequiredResult)
        assert await is_there(client, note)


async def test_in_a_session_every_call_is_approved_by_itself(front: Front) -> None:
    user = User([accepting(), DECLINING])
    async with client_of(front, "legacy", user) as client:
        first, second = await a_note(client), await a_note(client)
        await do(client, f"delete note {first}")
        await do(client, f"delete note {second}")
        assert [await is_there(client, note) for note in (first, second)] == [False, True]


async def test_a_client_that_fails_to_ask_is_told_of(front: Front) -> None:
    user = User([ErrorData(code=-32603, message="no screen")])
    async with client_of(front, "legacy", user) as client:
        outcome = outcome_of(await do(client, UNTITLED))
    assert outcome["ending"] == "needs"
    assert "the client could not ask (no screen)" in outcome["reason"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("answer", "ending"),
    [(accepting(id="seven"), "unsure"), (accepting(id=0), "unsure"), (accepting(nonsense=1), "needs")],
)
async def test_an_answer_that_does_not_fit_calls_nothing(
    front: Front, era: str, answer: ElicitResult, ending: str
) -> None:
    async with client_of(front, era, User([answer, answer])) as client:
        result = await do(client, "delete a note")
    assert result.is_error
    assert outcome_of(result)["ending"] == ending


@pytest.mark.parametrize("era", ERAS)
async def test_a_list_is_asked_for_as_text_and_read_either_way(tmp_path: Path, era: str) -> None:
    plans: list[Plan] = []
    user = User([accepting(tags="work, home"), accepting(tags='["work", "home"]')])
    async with (
        switchboard(tmp_path, ScriptedPlanner(plans)) as board,
        client_of(Front(Desk(board)), era, user) as client,
    ):
        call = Call(board.snapshot.catalog.tools["notes__add_note"], {"title": "Tags", "text": "t"})
        plans += [Plan(call, 0.9, "scripted", "as told", missing=("tags",))] * 4
        for _ in range(2):
            outcome = outcome_of(await do(client, "add a note"))
            assert outcome["call"]["arguments"]["tags"] == ["work", "home"]
    assert user.forms[0].requested_schema["properties"]["tags"]["type"] == "string"


async def test_a_tool_called_by_its_name_is_neither_planned_nor_asked_about(tmp_path: Path) -> None:
    async with (
        switchboard(tmp_path, FailingPlanner()) as board,
        client_of(Front(Desk(board)), "legacy", User([])) as client,
    ):
        note = await a_note(client)
        assert not (await client.call_tool("notes__delete_note", {"id": note})).is_error
        assert "broke down (AssertionError)" in text_of(await do(client, "delete note 1"))


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_missing_and_then_approval_are_asked_for_over_a_real_pipe(
    tmp_path: Path, era: str
) -> None:
    config = configured(tmp_path, {"notes": demo("notes", "--database", str(tmp_path / "notes.sqlite"))})
    user = User([accepting(id=1), accepting()])
    async with serving(config, mode=era, elicitation_callback=user) as client:
        assert await a_note(client) == 1
        result = await do(client, "delete a note")
        assert not await is_there(client, 1)
    missing, approval = user.forms
    assert missing.requested_schema["required"] == ["id"]
    assert approval.message.endswith('Call notes__delete_note with {"id": 1}?')
    assert outcome_of(result)["ending"] == "done"
