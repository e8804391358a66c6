"""The flow of `do`: what happens to a plan, who is asked, called and paid for it, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import anyio
import pytest

from local_llm import Call, Finished, NoPlan, Plan, Planner, Step, Task
from local_llm.scripted import FailingPlanner, ScriptedPlanner
from mcp_proxy.gate import Ask, Bar
from mcp_proxy.judging import Judge
from mcp_proxy.local_proposer import LocalProposer
from mcp_proxy.outcome import Ending, Outcome
from mcp_proxy.pipeline import carry_out
from mcp_proxy.ports import Answer, Answers, CannotAsk, Declined, Ports
from mcp_proxy.proposals import Proposal, ProposalError, Proposer, Usage
from tool_registry import Candidate, Catalog, Checked, Offer, ToolEntry, ToolIndex


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


FAILED = {"content": [{"type": "text", "text": "no such shelf"}], "isError": True}
BAR = Bar(0.6)
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
    """Notes calls, and gives the answers it was told, then good ones."""

    answers: list[Answer] = field(default_factory=list[Answer])
    calls: list[Call] = field(default_factory=list[Call])

    async def __call__(self, call: Call, /) -> Answer:
        self.calls.append(call)
        return self.answers.pop(0) if self.answers else Answer(RESULT)


@dataclass
class Above:
    """An escalator with the proposals it was told, or failures; with none left, it must not be asked."""

    proposals: list[Plan | NoPlan | Finished | ProposalError]
    tasks: list[Task] = field(default_factory=list[Task])
    reasons: list[str] = field(default_factory=list[str])

    name = "above"

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        assert self.proposals, f"asked in vain for {task.text!r}, with {len(candidates)} candidates"
        self.tasks.append(task)
        self.reasons.append(reason)
        proposal = self.proposals.pop(0)
        if isinstance(proposal, ProposalError):
            raise proposal
        return Proposal(proposal, PAID)


def above(*proposals: Plan | NoPlan | Finished | ProposalError) -> Above:
    return Above(list(proposals))


async def check(tool: ToolEntry, arguments: Mapping[str, Any]) -> Checked:
    return tool.checked(arguments)


async def find(task: Task, limit: int, /, *, whole: bool) -> tuple[Candidate, ...]:
    assert isinstance(whole, bool)
    return ToolIndex(TOOLS.values()).search(task.text, limit)


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
    caller: Caller | None = None,
    dry_run: bool = False,
    bar: Bar = BAR,
    **ports: Any,
) -> Run:
    planner = ScriptedPlanner([planned]) if isinstance(planned, Plan | NoPlan) else planned
    person, caller = Person(list(answers)), caller or Caller()
    every = Ports(
        find,
        (LocalProposer(planner, 10.0),),
        person,
        caller,
        Judge(lambda _: bar, check),
        above=(above,) if above else (),
        **ports,
    )
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
    ports = Ports(
        find, (LocalProposer(planner, 10.0),), Person(), Caller(), Judge(lambda _: BAR, check), candidates=2
    )
    outcome = await carry_out(task, ports)
    assert planner.tasks == [task]
    assert outcome.candidates == planner.candidates[0]
    assert [candidate.tool.name for candidate in outcome.candidates] == ["delete_note", "odd_note"]


@pytest.mark.parametrize(
    ("planned", "ending"),
    [
        (SURE, Ending.PLANNED),
        (NO_TITLE, Ending.NEEDS),
        (DELETE, Ending.NEEDS),
        (UNSURE, Ending.UNSURE),
        (INVALID, Ending.UNSURE),
        (ODD, Ending.UNSURE),
        (NONE, Ending.UNSURE),
    ],
)
async def test_a_dry_run_asks_nobody_calls_nothing_pays_nothing_and_says_how_it_would_go(
    planned: Plan | NoPlan, ending: Ending
) -> None:
    done = await run(planned, above=above(), dry_run=True)
    assert done.caller.calls == []
    assert (done.outcome.ending, done.outcome.plan) == (ending, planned)
    assert (done.outcome.result, done.outcome.usage) == (None, None)
    assert stages(done)[:2] == ["retrieve", "plan"]


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
    done = await run(planned, Declined(), above=above())
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
    claude = above(SURE)
    done = await run(planned, above=claude)
    (reason,) = claude.reasons
    assert why in reason
    assert done.caller.calls == [SURE.call]
    assert (done.outcome.ending, done.outcome.usage, done.outcome.plan) == (Ending.DONE, PAID, SURE)
    assert done.outcome.route == (f"scripted: escalate: {reason}", "scripted: execute: as told")
    assert stages(done) == ["retrieve", "plan", "escalate", "call"]


async def test_who_is_above_is_not_asked_about_a_sure_plan() -> None:
    assert (await run(SURE, above=above())).outcome.ending is Ending.DONE


async def test_a_failed_escalation_does_nothing_and_gives_both_reasons() -> None:
    done = await run(UNSURE, above=above(ProposalError("timeout", "no answer within 30 s")))
    assert done.caller.calls == []
    assert (done.outcome.ending, done.outcome.usage, done.outcome.plan) == (Ending.UNSURE, None, UNSURE)
    assert "confidence 0.20" in done.outcome.reason
    assert done.outcome.reason.endswith("above failed: no answer within 30 s")
    assert done.outcome.route[-1].startswith("above: escalate: ")


@pytest.mark.parametrize(
    ("proposal", "why"), [(INVALID, "are invalid: /id"), (NONE, "nothing fits"), (ODD, "oddity")]
)
async def test_a_proposal_from_above_is_checked_like_any_other_and_paid_for(
    proposal: Plan | NoPlan, why: str
) -> None:
    done = await run(UNSURE, above=above(proposal))
    assert done.caller.calls == []
    assert (done.outcome.ending, done.outcome.usage) == (Ending.UNSURE, PAID)
    assert why in done.outcome.reason


async def test_a_destructive_proposal_from_above_needs_approval_too() -> None:
    done = await run(UNSURE, Declined(), above=above(DELETE))
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.DECLINED
    assert stages(done) == ["retrieve", "plan", "escalate", "ask"]


async def test_without_anyone_above_the_reason_says_why() -> None:
    done = await run(UNSURE, why_none_above="Nobody was hired")
    assert done.outcome.ending is Ending.UNSURE
    assert done.outcome.reason.endswith(". Nobody was hired")
    assert (
        "hired"
        not in (await run(UNSURE, above=above(NONE), why_none_above="Nobody was hired")).outcome.reason
    )


async def test_a_tool_whose_schema_is_unusable_is_not_called() -> None:
    done = await run(ODD)
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.UNSURE
    assert done.outcome.reason.startswith("the upstream's inputSchema cannot be used: ")


@pytest.mark.parametrize(("threshold", "ending"), [(0.9, Ending.DONE), (0.91, Ending.UNSURE)])
async def test_the_threshold_is_the_users(threshold: float, ending: Ending) -> None:
    assert (await run(SURE, bar=Bar(threshold))).outcome.ending is ending


async def test_a_call_that_fails_for_good_is_not_planned_again() -> None:
    done = await run(SURE, caller=Caller([Answer(FAILED, correctable=False)]), above=above())
    assert done.caller.calls == [SURE.call]
    assert (done.outcome.ending, done.outcome.result) == (Ending.FAILED, FAILED)
    assert done.outcome.reason == "notes__add_note answered with an error"


async def test_a_script_that_has_run_out_has_no_plan() -> None:
    assert (await run(ScriptedPlanner([]))).outcome.ending is Ending.UNSURE
    assert (await run(ScriptedPlanner(by_text={"another task": SURE}))).outcome.ending is Ending.UNSURE
    assert (await run(ScriptedPlanner(by_text={"write a note": SURE}))).outcome.ending is Ending.DONE


async def test_a_planner_that_must_not_be_asked_says_so() -> None:
    done = await run(FailingPlanner())
    assert done.outcome.ending is Ending.UNSURE
    assert "failing failed: it broke down (AssertionError)" in done.outcome.reason


def note(title: str, *, last: bool = True, confidence: float = 0.9) -> Plan:
    return replace(plan("add_note", confidence=confidence, title=title, text="…"), last=last)


async def test_a_task_goes_on_step_by_step_until_the_planner_says_it_was_the_last() -> None:
    first, second = note("one", last=False), note("two")
    planner = ScriptedPlanner([first, second])
    done = await run(planner)
    assert done.caller.calls == [first.call, second.call]
    assert (done.outcome.ending, len(done.outcome.steps)) == (Ending.DONE, 2)
    assert planner.tasks[1].steps == (Step(first.call, "written", failed=False),)


async def test_a_dry_run_plans_every_step_with_no_results() -> None:
    planner = ScriptedPlanner([note("one", last=False), note("two")])
    done = await run(planner, dry_run=True)
    assert done.caller.calls == []
    assert done.outcome.ending is Ending.PLANNED
    assert [made.result for made in done.outcome.steps] == [None, None]
    assert planner.tasks[1].steps[0].result is None


async def test_a_dry_run_supposes_a_yes_and_plans_on() -> None:
    planner = ScriptedPlanner([replace(DELETE, last=False), note("two")])
    done = await run(planner, dry_run=True)
    assert [made.plan.call.tool.name for made in done.outcome.steps] == ["delete_note", "add_note"]
    assert done.outcome.ending is Ending.NEEDS
    assert "person's approval" in done.outcome.reason


async def test_a_planner_that_finds_nothing_left_ends_the_task() -> None:
    claude = above(note("one", last=False), Finished("above", "both are written"))
    done = await run(NONE, above=claude)
    assert (done.outcome.ending, done.outcome.reason) == (Ending.DONE, "both are written")
    assert [spent.proposer for spent in done.outcome.spent] == ["above", "above"]
    assert done.outcome.usage == Usage(200, 40, cost=0.004)


async def test_who_took_a_task_over_goes_on_with_it() -> None:
    claude = above(note("one", last=False), note("two"))
    planner = ScriptedPlanner([NONE, note("three")])
    done = await run(planner, above=claude)
    assert [call.arguments["title"] for call in done.caller.calls] == ["one", "two"]
    assert len(planner.tasks) == 1


async def test_what_was_done_is_told_of_when_the_next_step_is_not_clear() -> None:
    done = await run(ScriptedPlanner([note("one", last=False), NONE]))
    assert (done.outcome.ending, len(done.outcome.steps), done.outcome.plan) == (Ending.UNSURE, 1, NONE)


async def test_a_task_stops_after_the_most_steps_it_may_take() -> None:
    planner = ScriptedPlanner([note(str(number), last=False) for number in range(9)])
    done = await run(planner, most_steps=3)
    assert (done.outcome.ending, len(done.caller.calls)) == (Ending.STOPPED, 3)
    assert "3 calls" in done.outcome.reason


async def test_the_same_call_is_not_made_twice() -> None:
    done = await run(ScriptedPlanner([note("one", last=False), note("one")]))
    assert len(done.caller.calls) == 1
    assert done.outcome.ending is Ending.UNSURE
    assert "step 1 over again" in done.outcome.reason


async def test_a_failed_call_is_corrected_by_who_planned_it_with_the_error_at_hand() -> None:
    planner = ScriptedPlanner([note("one"), note("two")])
    done = await run(planner, caller=Caller([Answer(FAILED)]))
    assert (done.outcome.ending, len(done.caller.calls)) == (Ending.DONE, 2)
    assert planner.tasks[1].corrects == Step(note("one").call, "no such shelf", failed=True)


async def test_after_two_corrections_a_failed_call_goes_up() -> None:
    planner, claude = ScriptedPlanner([note("a"), note("b"), note("c"), note("never")]), above(note("d"))
    done = await run(planner, caller=Caller([Answer(FAILED)] * 3), above=claude)
    assert [call.arguments["title"] for call in done.caller.calls] == ["a", "b", "c", "d"]
    assert done.outcome.ending is Ending.DONE
    assert len(claude.tasks[0].steps) == 3


async def test_a_call_nobody_can_correct_ends_the_task_as_failed() -> None:
    planner = ScriptedPlanner([note("a"), note("b"), note("c")])
    done = await run(planner, caller=Caller([Answer(FAILED)] * 3))
    assert (done.outcome.ending, len(done.outcome.steps)) == (Ending.FAILED, 3)
    gives_up = await run(ScriptedPlanner([note("a"), NONE]), caller=Caller([Answer(FAILED)]))
    assert (gives_up.outcome.ending, len(gives_up.caller.calls)) == (Ending.FAILED, 1)


async def test_a_best_guess_is_put_to_the_user_once_nobody_is_left() -> None:
    guess = note("one", confidence=0.4)
    yes = await run(guess, Answers({}), above=above(NONE), bar=Bar(0.6, 0.3))
    assert yes.caller.calls == [guess.call]
    assert yes.outcome.ending is Ending.DONE
    assert "confidence 0.40" in yes.person.asked[0].reason
    no = await run(guess, Declined(), bar=Bar(0.6, 0.3))
    assert (no.caller.calls, no.outcome.ending) == ([], Ending.DECLINED)
    too_wild = await run(guess, bar=Bar(0.6, 0.5))
    assert (too_wild.person.asked, too_wild.outcome.ending) == ([], Ending.UNSURE)


async def test_a_task_that_there_is_no_money_for_is_refused() -> None:
    done = await run(UNSURE, above=above(ProposalError("budget", "today's $1.00 are spent")))
    assert (done.caller.calls, done.outcome.ending) == ([], Ending.REFUSED)
    assert "today's $1.00 are spent" in done.outcome.reason


async def test_a_guess_that_lacks_something_is_filled_in_and_then_approved() -> None:
    guess = plan("add_note", confidence=0.4, missing=["title"], text="…")
    done = await run(guess, Answers({"title": "Milk"}), Answers({}), bar=Bar(0.6, 0.3))
    assert [len(ask.questions) for ask in done.person.asked] == [1, 0]
    assert done.caller.calls == [Call(TOOLS["notes__add_note"], {"text": "…", "title": "Milk"})]


class Never:
    """Somebody who does not answer."""

    name = "never"

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> NoReturn:
        await anyio.sleep_forever()
        raise AssertionError((task, candidates, reason))


async def test_a_task_ends_at_its_deadline_with_what_was_done() -> None:
    done = await run(ScriptedPlanner([note("one", last=False), NONE]), above=Never(), deadline=0.2)
    assert (done.outcome.ending, len(done.outcome.steps)) == (Ending.STOPPED, 1)
    assert "within 0.2 s" in done.outcome.reason


async def test_each_stage_is_told_as_it_begins() -> None:
    told: list[tuple[str, str]] = []

    async def tell(stage: str, about: str) -> None:
        told.append((stage, about))

    await run(DELETE, Answers({}), tell=tell)
    assert [stage for stage, _ in told] == ["retrieving", "planning", "asking", "calling"]
    assert told[-1] == ("calling", "notes__delete_note")


async def test_a_paused_task_goes_on_with_the_call_that_was_planned() -> None:
    ports = Ports(
        find,
        (LocalProposer(FailingPlanner(), 10.0),),
        Person(),
        caller := Caller(),
        Judge(lambda _: BAR, check),
    )
    outcome = await carry_out(Task("write a note"), ports, planned=SURE)
    assert (outcome.ending, caller.calls) == (Ending.DONE, [SURE.call])
