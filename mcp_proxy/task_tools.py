"""The tools Switchboard itself offers, `do` and `plan`: their definitions, and reading their arguments."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from local_llm import Task
from mcp_proxy.own_tools import own_tool, read_arguments
from mcp_proxy.strategy import Strategy
from mcp_proxy.telling import OUTCOME_SCHEMA

_LONGEST_TASK = 4000
MOST_STEPS_ASKED = 50
"""Calls that a client may ask for in one task."""

Definition = Mapping[str, Any]
"""A Tool object."""


class _PlanArguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(
        min_length=1,
        max_length=_LONGEST_TASK,
        description="What to do, in plain words, with every value it needs; steps after one another if it takes several. "
        "Name the server if several could do it.",
    )
    answers: dict[str, Any] = Field(
        default_factory=dict,
        description="Values for parameters that an earlier try reported missing, by parameter name.",
    )
    tools: list[str] | None = Field(
        default=None, description="Only these tools may be called: names, or patterns such as files__*."
    )
    max_steps: int | None = Field(
        default=None, ge=1, le=MOST_STEPS_ASKED, description="Calls that the task may take at most."
    )
    privacy: Literal["normal", "high"] = Field(
        default="normal", description="high: no model outside this machine is told of the task."
    )
    strategy: Strategy | None = Field(
        default=None,
        description="What counts when it is not clear which call is meant; as configured by default.",
    )


class _DoArguments(_PlanArguments):
    dry_run: bool = Field(default=False, description="Only say what would be called.")
    resume: str = Field(
        default="", description="What an earlier result gave as `resume`: goes on there, with `answers`."
    )


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a task's client wants of how it is carried out, within what is configured."""

    dry_run: bool = False
    tools: tuple[str, ...] | None = None
    """Patterns for the names of tools that may be called; None for all."""
    max_steps: int | None = None
    private: bool = False
    """Nothing of it may leave the machine."""
    strategy: Strategy | None = None
    resume: str = ""
    """Under what an earlier run of it was put aside."""

    def allows(self, tool: str) -> bool:
        """Whether a tool of this qualified name may be called."""
        return self.tools is None or any(fnmatchcase(tool, pattern) for pattern in self.tools)


@dataclass(frozen=True, slots=True)
class Request:
    """A `do` or `plan` call, read."""

    task: Task
    wishes: Wishes


def read_request(name: str, arguments: Mapping[str, Any]) -> Request | str:
    """The request behind a call of tool `name`, or what is wrong with its arguments."""
    wanted = read_arguments(name, arguments, _PlanArguments if name == PLAN["name"] else _DoArguments)
    if isinstance(wanted, str):
        return wanted
    wishes = Wishes(
        tools=None if wanted.tools is None else tuple(wanted.tools),
        max_steps=wanted.max_steps,
        private=wanted.privacy == "high",
        strategy=wanted.strategy,
        dry_run=wanted.dry_run if isinstance(wanted, _DoArguments) else True,
        resume=wanted.resume if isinstance(wanted, _DoArguments) else "",
    )
    return Request(Task(wanted.task, wanted.answers), wishes)


def own_name(tool: Definition, taken: Container[str]) -> str:
    """The name by which clients call one of Switchboard's own tools.

    An upstream without a prefix may have a tool of that name. It is there to be seen as it is, so it
    keeps the name, and Switchboard's own gives way.
    """
    name: str = tool["name"]
    return f"switchboard_{name}" if name in taken else name


DO = own_tool(
    "do",
    "Do a task",
    "Carries out a task given in plain words with the tools of the connected servers, in one step or several: chooses the "
    "tool, fills and validates its arguments, calls it, and returns the tool's own result with what was called and how "
    "sure the planner was. Asks for what is missing and does nothing when it is not sure.",
    _DoArguments,
    annotations={"readOnlyHint": False, "openWorldHint": True},
    output=OUTCOME_SCHEMA,
)

PLAN = own_tool(
    "plan",
    "Plan a task",
    "Says which tools `do` would call for a task, with which arguments and how surely. Calls nothing.",
    _PlanArguments,
    annotations={"readOnlyHint": True, "openWorldHint": True},
    output=OUTCOME_SCHEMA,
)
