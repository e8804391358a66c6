"""The flow of `do`: what happens to a plan, who is asked, called and paid for it, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from local_llm import Call, NoPlan, Plan, Planner, Task
from local_llm.scripted import FailingPlanner, ScriptedPlanner
from mcp_proxy.gate import Ask
from mcp_proxy.pipeline import Answers, CannotAsk, Declined, Ending, Outcome, Ports, carry_out
from mcp_proxy.proposals import Proposal, ProposalError, Proposer, Usage
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import Candidate, Catalog, Offer, ToolIndex


def definition(name: str, description: str, **types: str) -> dict[str, Any]:
    properties = {parameter: {"type": kind} for parameter, kind in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(types)}
    return {"name": name, "description": description, "inputSchema": schema}


CATALOG = Catalog(
    (
        Offer(
            "notes",
            "notes",
            tools=(
                definition("add_note", "Write a new note.", title="string", text="string"),
                definition("delete_note", "Delete a note.", id="integer"),
                {"name": "odd_note", "description": "A note.", "inputSchema": {"type": "oddity"}},
            ),
        ),
    )
)
TOOLS = CATALOG.tools
RESULT = {"content": [{"type": "text", "text": "written"}]}
PAID = Usage(input_tokens=100, output_tokens=20, cost=0.002)


def plan(name: str, confidence: float = 0.9, missing: Sequence[str] = (), **arguments: Any) -> Plan:
    return Plan(Call(TOOLS[f"notes__{name}"], arguments), confidence, "scripted", "as told", tuple(missing))


SURE = plan("add_note", title="Milk", text="buy two")
UNSURE = plan("add_note", confidence=0.2, title="Milk", text="buy two")
NO_TITLE = plan("add_note", missing=["title"], text="buy two")
DELETE = plan("delete_note", id=7)
INVALID = plan("delete_note", id="seven")
ODD = plan("odd_note")
NONE = NoPlan("scripted", "nothing fits")


@dataclass
class Person:
    """Gives the answers it was told, and notes what it was asked; without one left, it fails."""

    answers: list[Answers | Declined | CannotAsk] = field(
        default_factory=list[Answers | Declined | CannotAsk]
    )
    asked: list[Ask] = field(default_factory=list[Ask])

    async def ask(self, ask: Ask) -> Answers | Declined | CannotAsk:
        assert self.answers, f"asked in vain: {ask.reason}"
        self.asked.append(ask)
        return self.answers.pop(0)


@dataclass
class Caller:
    """Makes calls by noting them."""

    error: Exception | None = None
    calls: list[Call] = field(default_factory=list[Call])

    async def __call__(self, call: Call, /) -> Mapping[str, Any]:
        self.calls.append(call)
        if self.error:
            raise self.error
        return RESULT


@dataclass
class Above:
    """An escalator with one proposal, or one failure; without either, it must not be asked."""

    proposal: Plan | NoPlan | ProposalError | None = None
    reasons: list[str] = field(default_factory=list[str])

    name = "above"

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        assert self.proposal, f"asked in vain for {task.text!r}, with {len(candidates)} candidates"
        self.reasons.append(reason)
        if isinstance(self.proposal, ProposalError):
            raise self.proposal
        return Proposal(self.proposal, PAID)


async def find(query: str, limit: int) -> tuple[Candidate, ...]:
    return ToolIndex(TOOLS.values()).search(query, limit)


@dataclass
class Run:
    """One task carried out, and everyone who had to do with it."""

    person: Person
    caller: Caller
    outcome: Outcome


async def run(
    planned: Plan | NoPlan | Planner,
    *answers: Answers | Declined | CannotAsk,
    above: Proposer | None = None,
    dry_run: bool = False,
    **ports: Any,
) -> Run:
    planner = ScriptedPlanner([planned]) if isinstance(planned, Plan | NoPlan) else planned
    person, caller = Person(list(answers)), Caller()
    every = Ports(find, planner, person, caller, above, **ports)
    return Run(person, caller, await carry_out(Task("write a note"), every, dry_run=dry_run))


def stages(done: Run) -> list[str]:
    return list(done.outcome.milliseconds)


async def test_a_sure_plan_is_carried_out() -> None:
    done = await run(SURE)
    assert done.caller.calls == [SURE.call]
    outcome = done.outcome
    assert (outcome.ending, outcome.reason, outcome.plan) == (Ending.DONE, "as told", SURE)
    assert (outcome.call, outcome.result, outcome.usage) == (SURE.call, RESULT, None)
    assert outcome.route == ("scripted: execute: as told",)
    assert stages(done) == ["retrieve", "plan", "call"]
    assert all(spent >= 0 for spent in outcome.milliseconds.values())


async def test_the_planner_is_given_the_task_with_its_answers_and_the_best_candidates() -> None:
    planner = ScriptedPlanner([SURE])
    task = Task("delete a note", {"id": 7})
    ports = Ports(find, planner, Person(), Caller(), candidates=2)
    outcome = await carry_out(task, ports)
    assert planner.tasks == [task]
    assert outcome.candidates == planner.candidates[0]
    assert [candidate.tool.name for candidate in outcome.candidates] == ["delete_note", "odd_note"]


@pytest.mark.parametrize("planned", [SURE, NO_TITLE, DELETE, UNSURE, INVALID, ODD, NONE])
async def test_a_dry_run_asks_nobody_calls_nothing_and_pays_nothing(planned: Plan | NoPlan) -> None:
    done = await run(planned, above=Above(), dry_run=True)
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.PLANNED
    assert (done.outcome.plan, done.outcome.result, done.outcome.usage) == (planned, None, None)
    assert stages(done) == ["retrieve", "plan"]


async def test_a_dry_run_says_what_would_have_happened() -> None:
    assert (await run(NO_TITLE, dry_run=True)).outcome.reason.startswith("notes__add_note needs title")
    assert "person's approval" in (await run(DELETE, dry_run=True)).outcome.reason


async def test_what_is_missing_is_asked_for_and_filled_in() -> None:
    done = await run(NO_TITLE, Answers({"title": "Milk"}))
    (ask,) = done.person.asked
    assert [question.parameter for question in ask.questions] == ["title"]
    assert done.caller.calls == [SURE.call]
    assert done.outcome.call == SURE.call
    assert isinstance(done.outcome.plan, Plan)
    assert done.outcome.plan.missing == ()
    assert [step.split(": ")[1] for step in done.outcome.route] == ["ask", "execute"]
    assert stages(done) == ["retrieve", "plan", "ask", "call"]


async def test_a_destructive_call_is_made_once_it_is_approved() -> None:
    done = await run(DELETE, Answers({}))
    assert [ask.call for ask in done.person.asked] == [DELETE.call]
    assert done.caller.calls == [DELETE.call]
    assert done.outcome.ending is Ending.DONE


async def test_what_is_missing_comes_before_approval_of_the_whole_call() -> None:
    done = await run(plan("delete_note", missing=["id"]), Answers({"id": 7}), Answers({}))
    missing, approval = done.person.asked
    assert [question.parameter for question in missing.questions] == ["id"]
    assert (approval.questions, approval.call) == ((), DELETE.call)
    assert done.caller.calls == [DELETE.call]


@pytest.mark.parametrize("planned", [NO_TITLE, DELETE])
async def test_a_no_ends_the_matter(planned: Plan) -> None:
    done = await run(planned, Declined(), above=Above())
    assert done.caller.calls == []
    assert (done.outcome.ending, done.outcome.reason) == (Ending.DECLINED, "the user was asked and declined")


async def test_a_value_given_does_not_approve_the_call() -> None:
    done = await run(plan("delete_note", missing=["id"]), Answers({"id": 7}), Declined())
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.DECLINED


async def test_who_cannot_be_asked_is_told_of() -> None:
    done = await run(NO_TITLE, CannotAsk("call again with answers"))
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.NEEDS
    assert done.outcome.reason == (
        "notes__add_note needs title, which the task does not give; call again with answers"
    )
    assert done.outcome.call == NO_TITLE.call


async def test_an_answer_that_leaves_something_open_is_not_asked_for_without_end() -> None:
    done = await run(NO_TITLE, Answers({}), Answers({}))
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.NEEDS
    assert "the answer left something open: notes__add_note needs title" in done.outcome.reason


async def test_an_answer_that_does_not_fit_the_schema_is_not_called_with() -> None:
    done = await run(plan("delete_note", missing=["id"]), Answers({"id": "seven"}))
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.UNSURE
    assert '/id: expected integer, got "seven"' in done.outcome.reason


@pytest.mark.parametrize(
    ("planned", "why"),
    [
        (UNSURE, "confidence 0.20"),
        (INVALID, "are invalid: /id"),
        (NONE, "nothing fits"),
        (ODD, "inputSchema"),
    ],
)
async def test_what_the_planner_cannot_do_goes_up_and_is_carried_out(
    planned: Plan | NoPlan, why: str
) -> None:
    above = Above(SURE)
    done = await run(planned, above=above)
    (reason,) = above.reasons
    assert why in reason
    assert done.caller.calls == [SURE.call]
    assert (done.outcome.ending, done.outcome.usage, done.outcome.plan) == (Ending.DONE, PAID, SURE)
    assert done.outcome.route == (f"scripted: escalate: {reason}", "scripted: execute: as told")
    assert stages(done) == ["retrieve", "plan", "escalate", "call"]


async def test_who_is_above_is_not_asked_about_a_sure_plan() -> None:
    assert (await run(SURE, above=Above())).outcome.ending is Ending.DONE


async def test_a_failed_escalation_does_nothing_and_gives_both_reasons() -> None:
    done = await run(UNSURE, above=Above(ProposalError("timeout", "no answer within 30 s")))
    assert done.caller.calls == []
    assert (done.outcome.ending, done.outcome.usage, done.outcome.call) == (Ending.UNSURE, None, None)
    assert "confidence 0.20" in done.outcome.reason
    assert done.outcome.reason.endswith("escalation failed: no answer within 30 s")
    assert done.outcome.route[-1].startswith("above: escalate: ")


@pytest.mark.parametrize(
    ("proposal", "why"), [(INVALID, "are invalid: /id"), (NONE, "nothing fits"), (ODD, "oddity")]
)
async def test_a_proposal_from_above_is_checked_like_any_other_and_paid_for(
    proposal: Plan | NoPlan, why: str
) -> None:
    done = await run(UNSURE, above=Above(proposal))
    assert done.caller.calls == []
    assert (done.outcome.ending, done.outcome.usage) == (Ending.UNSURE, PAID)
    assert why in done.outcome.reason


async def test_a_destructive_proposal_from_above_needs_approval_too() -> None:
    done = await run(UNSURE, Declined(), above=Above(DELETE))
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.DECLINED
    assert stages(done) == ["retrieve", "plan", "escalate", "ask"]


async def test_without_anyone_above_the_reason_says_how_there_would_be() -> None:
    done = await run(UNSURE)
    assert done.outcome.ending is Ending.UNSURE
    assert "[escalation]" in done.outcome.reason
    assert "[escalation]" not in (await run(UNSURE, above=Above(NONE))).outcome.reason


async def test_a_tool_whose_schema_is_unusable_is_not_called() -> None:
    done = await run(ODD)
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.UNSURE
    assert done.outcome.reason.startswith("the upstream's inputSchema cannot be used: ")


@pytest.mark.parametrize(("threshold", "ending"), [(0.9, Ending.DONE), (0.91, Ending.UNSURE)])
async def test_the_threshold_is_the_users(threshold: float, ending: Ending) -> None:
    assert (await run(SURE, threshold=threshold)).outcome.ending is ending


async def test_an_upstream_that_is_gone_is_for_the_caller_to_report() -> None:
    gone = Caller(UpstreamUnavailableError("notes", "it crashed"))
    ports = Ports(find, ScriptedPlanner([SURE]), Person(), gone)
    with pytest.raises(UpstreamUnavailableError, match="it crashed"):
        await carry_out(Task("write a note"), ports)
    assert gone.calls == [SURE.call]


async def test_a_script_that_has_run_out_has_no_plan() -> None:
    assert (await run(ScriptedPlanner([]))).outcome.ending is Ending.UNSURE
    assert (await run(ScriptedPlanner(by_text={"another task": SURE}))).outcome.ending is Ending.UNSURE
    assert (await run(ScriptedPlanner(by_text={"write a note": SURE}))).outcome.ending is Ending.DONE


async def test_a_planner_that_must_not_be_asked_says_so() -> None:
    with pytest.raises(AssertionError, match="asked to plan 'write a note' among 3 candidates"):
        await run(FailingPlanner())
