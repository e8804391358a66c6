"""The tools Switchboard itself offers, `do` and `plan`: their definitions, and reading their arguments."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_llm import Task
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
    try:
        if name == PLAN["name"]:
            planned = _PlanArguments.model_validate(arguments)
            return Request(Task(planned.task, planned.answers), dry_run=True)
        wanted = _DoArguments.model_validate(arguments)
        return Request(Task(wanted.task, wanted.answers), wanted.dry_run)
    except ValidationError as error:
        problems = "\n".join(f"- /{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return f"The arguments of `{name}` are not valid; nothing was done.\n{problems}"


def own_name(tool: Definition, taken: Container[str]) -> str:
    """The name by which clients call one of Switchboard's own tools.

    An upstream without a prefix may have a tool of that name. It is there to be seen as it is, so it
    keeps the name, and Switchboard's own gives way.
    """
    name: str = tool["name"]
    return f"switchboard_{name}" if name in taken else name


def _tool(
    name: str, title: str, description: str, arguments: type[BaseModel], *, read_only: bool
) -> dict[str, Any]:
    schema = arguments.model_json_schema()
    for parameter in schema["properties"].values():
        parameter.pop("title", None)
    del schema["title"]
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "outputSchema": OUTCOME_SCHEMA,
        "annotations": {"title": title, "readOnlyHint": read_only, "openWorldHint": True},
    }


DO = _tool(
    "do",
    "Do a task",
    "Carries out a task given in plain words with one tool of the connected servers: chooses the tool, fills and "
    "validates its arguments, calls it, and returns the tool's own result with what was called and how sure the planner "
    "was. Asks for what is missing and does nothing when it is not sure.",
    _DoArguments,
    read_only=False,
)

PLAN = _tool(
    "plan",
    "Plan a task",
    "Says which tool `do` would call for a task, with which arguments and how surely. Calls nothing.",
    _PlanArguments,
    read_only=True,
)
