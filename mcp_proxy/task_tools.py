"""The tools Switchboard itself offers, `do` and `plan`: their definitions, and reading their arguments."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from local_llm import Task
from mcp_proxy.own_tools import own_tool, read_arguments
from mcp_proxy.results import OUTCOME_SCHEMA

_LONGEST_TASK = 4000

Definition = Mapping[str, Any]
"""A Tool object."""


class _PlanArguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(
        min_length=1,
        max_length=_LONGEST_TASK,
        description="What to do, in plain words: one action, with every value it needs. Name the server if several could do it.",
    )
    answers: dict[str, Any] = Field(
        default_factory=dict,
        description="Values for parameters that an earlier try reported missing, by parameter name.",
    )


class _DoArguments(_PlanArguments):
    dry_run: bool = Field(default=False, description="Only say what would be called.")


@dataclass(frozen=True, slots=True)
class Request:
    """A `do` or `plan` call, read."""

    task: Task
    dry_run: bool


def read_request(name: str, arguments: Mapping[str, Any]) -> Request | str:
    """The request behind a call of tool `name`, or what is wrong with its arguments."""
    match read_arguments(name, arguments, _PlanArguments if name == PLAN["name"] else _DoArguments):
        case _DoArguments() as wanted:
            return Request(Task(wanted.task, wanted.answers), wanted.dry_run)
        case _PlanArguments() as wanted:
            return Request(Task(wanted.task, wanted.answers), dry_run=True)
        case str() as problems:
            return problems


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
    "Carries out a task given in plain words with one tool of the connected servers: chooses the tool, fills and "
    "validates its arguments, calls it, and returns the tool's own result with what was called and how sure the planner "
    "was. Asks for what is missing and does nothing when it is not sure.",
    _DoArguments,
    annotations={"readOnlyHint": False, "openWorldHint": True},
    output=OUTCOME_SCHEMA,
)

PLAN = own_tool(
    "plan",
    "Plan a task",
    "Says which tool `do` would call for a task, with which arguments and how surely. Calls nothing.",
    _PlanArguments,
    annotations={"readOnlyHint": True, "openWorldHint": True},
    output=OUTCOME_SCHEMA,
)
