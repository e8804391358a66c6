"""Feedback on what was done: read, held against the tool's schema, and handed to the journal. Offered as a tool too."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mcp_proxy.journal import FeedbackRecord, Journal
from mcp_proxy.own_tools import own_tool, read_arguments
from mcp_proxy.results import error_result, text_block
from tool_registry import ToolEntry, UnusableSchemaError

_LONGEST_NOTE = 2000
_LONGEST_ID = 64


class Correction(BaseModel):
    """The call that would have been right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str = Field(min_length=1, description="The tool that should have been called.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="The arguments it should have had.")


class FeedbackArguments(BaseModel):
    """Arguments of `feedback`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=_LONGEST_ID, description="The id in the result of `do`.")
    verdict: Literal["good", "bad"] = Field(description="Whether it was what was wanted.")
    correct: Correction | None = Field(
        default=None, description="With bad: the call that would have been right."
    )
    note: str = Field(default="", max_length=_LONGEST_NOTE, description="Anything else worth knowing.")


FEEDBACK = own_tool(
    "feedback",
    "Give feedback",
    "Says whether what `do` did was what was wanted, and if not, which call would have been right. It is kept on this "
    "machine, for the planner to learn from. Said again, it replaces what was said before.",
    FeedbackArguments,
    annotations={
        "readOnlyHint": False,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
)


async def give_feedback(
    arguments: Mapping[str, Any], journal: Journal | None, tools: Mapping[str, ToolEntry], client: str
) -> dict[str, Any]:
    """A call of the tool `feedback`, as a CallToolResult.

    Args:
        arguments: those of the call.
        journal: where it is kept; None when nothing is.
        tools: those that the client sees, by qualified name.
        client: who gives it.
    """
    given = read_feedback(arguments)
    if isinstance(given, str):
        return error_result(given)
    taken = await journal.give_feedback(feedback_record(given, client)) if journal else "unavailable"
    if taken == "unknown":
        return error_result(f"There is no task or call {given.id}: give the id from the result of `do`.")
    if taken == "unavailable":
        return error_result(
            "The feedback is not kept: the journal is off, or cannot be written ([journal] path)."
        )
    said = [f"Kept: {given.verdict}.", *doubts(given.correct, tools)]
    return {"content": [text_block("\n".join(said))]}


def read_feedback(arguments: Mapping[str, Any]) -> FeedbackArguments | str:
    """Feedback as it was given, or what is wrong with it."""
    given = read_arguments(FEEDBACK["name"], arguments, FeedbackArguments)
    if isinstance(given, FeedbackArguments) and given.correct and given.verdict == "good":
        return "A correction goes with the verdict bad; nothing was kept."
    return given


def feedback_record(given: FeedbackArguments, client: str) -> FeedbackRecord:
    """Feedback for the journal."""
    correct = given.correct
    return FeedbackRecord(
        about=given.id,
        verdict=given.verdict,
        tool=correct.tool if correct else None,
        arguments=correct.arguments if correct else None,
        note=given.note,
        client=client,
    )


def doubts(correct: Correction | None, tools: Mapping[str, ToolEntry]) -> list[str]:
    """What speaks against a correction. It is kept all the same: the schema may have changed since, or be wrong."""
    if correct is None:
        return []
    tool = tools.get(correct.tool)
    if tool is None:
        return [f"Warning: {correct.tool} is not known here, so its arguments could not be checked."]
    try:
        problems = tool.checked(correct.arguments, repair=False).problems
    except UnusableSchemaError as error:
        return [f"Warning: the arguments could not be checked: {error}"]
    return [f"Warning: the arguments do not fit {correct.tool}: {problem}" for problem in problems]
