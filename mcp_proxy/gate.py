"""The gate: a plan and what is wrong with it go in, one decision comes out. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from local_llm import Call, NoPlan, Plan
from tool_registry import ArgumentProblem, ToolEntry

EXECUTE_FROM = 0.6
"""The confidence from which a valid plan is carried out, where nothing else is set."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word of a tool's name, however the words are joined: delete_file, delete-file, deleteFile, DELETE_FILE."""

_DESTRUCTIVE_WORDS = frozenset(
    "delete remove destroy drop purge wipe erase reset terminate kill uninstall revoke truncate unlink rmdir rm".split()
)


@dataclass(frozen=True, slots=True)
class Bar:
    """How sure a plan has to be, in [0, 1]."""

    act: float = EXECUTE_FROM
    """From here on a valid plan is carried out."""
    ask: float = 1.0
    """From here on it may be put to the user, where nobody else is left to be asked."""


@dataclass(frozen=True, slots=True)
class Execute:
    """Carry the call out."""

    call: Call


@dataclass(frozen=True, slots=True)
class Question:
    """One parameter the user is asked for."""

    parameter: str
    schema: dict[str, object]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the user: for missing parameters, or, with no questions, for approval of the call."""

    call: Call
    questions: tuple[Question, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """Pass the task on: this planner is not sure enough, or wrong."""

    reason: str
    doubtful: Ask | None = None
    """The valid call that may be meant, as a question to the user; None when there is none worth asking about."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do nothing, and say why."""

    reason: str


Decision = Execute | Ask | Escalate | Refuse

_DEFAULT_BAR = Bar()


def decide(
    plan: Plan | NoPlan, problems: Sequence[ArgumentProblem], *, approved: bool, bar: Bar = _DEFAULT_BAR
) -> Decision:
    """What becomes of a plan whose arguments have `problems`.

    Args:
        plan: the plan, or why there is none.
        problems: what the inputSchema says of the plan's arguments; empty when they are valid.
        approved: the user has already said yes to this call.
        bar: how sure the plan has to be.
    """
    if isinstance(plan, NoPlan):
        return Escalate(plan.reason)
    tool = plan.call.tool
    if wrong := [problem for problem in problems if not _leaves_out_a_parameter(problem)]:
        return Escalate(
            f"the arguments planned for {tool.qualified} are invalid: {'; '.join(map(str, wrong))}"
        )
    left_out = [problem.missing for problem in problems if _leaves_out_a_parameter(problem)]
    absent = tuple(dict.fromkeys(name for name in (*plan.missing, *left_out) if name is not None))
    questions = tuple(Question(name, dict(tool.parameters.get(name, {}))) for name in absent)
    if plan.confidence < bar.act and not approved:
        why = f"confidence {_floor(plan.confidence)} in {tool.qualified} is {_below(bar)}: {plan.reason}"
        return Escalate(why, Ask(plan.call, questions, why) if plan.confidence >= bar.ask else None)
    if tool.quarantine:
        return Refuse(tool.quarantine)
    if questions:
        needs = f"{tool.qualified} needs {', '.join(absent)}, which the task does not give"
        return Ask(plan.call, questions, needs)
    unapproved = is_destructive(tool) and not approved
    reason = f"{tool.qualified} may destroy data and needs a person's approval"
    return Ask(plan.call, (), reason) if unapproved else Execute(plan.call)


def _leaves_out_a_parameter(problem: ArgumentProblem) -> bool:
    """Whether a parameter of the tool is absent, which the user can be asked for; not so what an object lacks."""
    return problem.missing is not None and problem.pointer.count("/") == 1


def is_destructive(tool: ToolEntry) -> bool:
    """Whether a call may destroy something: by the tool's annotations, else by its name.

    The protocol's own default for an absent `destructiveHint` is true, which would put every tool of
    most servers behind a question; an explicit hint counts, and names speak where there is none.
    """
    hint = tool.annotations.get("destructiveHint")
    if tool.annotations.get("readOnlyHint") is True:
        return False
    if isinstance(hint, bool):
        return hint
    return any(word.lower() in _DESTRUCTIVE_WORDS for word in _WORD.findall(tool.name))


def _below(bar: Bar) -> str:
    if bar.act > 1:
        return "not enough: none has proved to be for what the strategy aims at"
    return f"below {bar.act:.2f}"


def _floor(confidence: float) -> str:
    """Two digits, rounded down: what is below a threshold must not look like it."""
    return f"{int(confidence * 100) / 100:.2f}"
