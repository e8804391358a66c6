"""A proposer behind its breaker: not asked while that is open, and held to what a proposal has to be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from local_llm import Call, Finished, NoPlan, Plan, Task
from mcp_proxy.breaker import Asking, Breaker
from mcp_proxy.proposals import Proposal, ProposalError, Proposer
from tool_registry import Candidate, ToolEntry

_FAULTS: Mapping[str, str] = {
    "authentication": "its key was rejected",
    "billing": "its account cannot pay",
    "model": "its model or address is unknown",
    "rate_limit": "its rate limit was reached",
    "overloaded": "it was overloaded",
    "unavailable": "it broke down, or could not be reached",
    "timeout": "it gave no answer in time",
    "reply": "its answer was of no use",
}
"""What counts against a proposer, by kind of error. Those that are missing are the task's fault, or the budget's. In words of our
own: others than those whose task it was will read them."""


class Guarded:
    """`proposer` for one task, with its breaker, which all tasks share."""

    def __init__(self, proposer: Proposer, breaker: Breaker) -> None:
        self._proposer = proposer
        self.breaker = breaker
        self._asking: Asking | None = None

    @property
    def name(self) -> str:
        return self._proposer.name

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """See `Proposer.propose`. What is proposed is signed with the proposer's own name.

        Raises:
            ProposalError: as from the proposer; of kind "unavailable" if the breaker does not let it be asked, and
                "reply" if the answer is no proposal for this task.
        """
        asking = self.breaker.ask()
        if asking is None:
            raise ProposalError("unavailable", f"it {self.breaker.condition}")
        try:
            proposal = await self._proposer.propose(task, candidates, reason)
            proposal = replace(proposal, outcome=sound(proposal.outcome, candidates, self.name))
        except ProposalError as error:
            if fault := _FAULTS.get(error.kind):
                self.breaker.failed(asking, fault, error.retry_after)
            raise
        except Exception:
            self.breaker.failed(asking, _FAULTS["unavailable"])
            raise
        else:
            self.breaker.answered(asking)
            self._asking = asking
            return proposal
        finally:
            self.breaker.withdrawn(asking)

    def judged(self, *, good: bool) -> None:
        """The latest plan turned out to be a valid call, or not."""
        if self._asking:
            self.breaker.judged(good=good, asking=self._asking)


def sound(outcome: object, candidates: Sequence[Candidate], proposer: str) -> Plan | NoPlan | Finished:
    """What was proposed, if it is a proposal: about one of the candidates, as it is here, and signed.

    Whether the arguments fit the tool is not looked at.

    Raises:
        ProposalError: it is none.
    """
    match outcome:
        case NoPlan() | Finished():
            return replace(outcome, planner=proposer)
        case Plan(call=Call(tool=ToolEntry() as tool, arguments=arguments)):
            known = next((each.tool for each in candidates if each.tool.qualified == tool.qualified), None)
            if known is None:
                raise ProposalError("reply", f"it proposed {tool.qualified!r}, which it was not offered")
            if not _is_probability(outcome.confidence):
                raise ProposalError("reply", f"it proposed {tool.qualified} with no confidence from 0 to 1")
            if not (_is_json(arguments) and _are_names(outcome.missing)):
                raise ProposalError(
                    "reply", f"it proposed {tool.qualified} with arguments that are no JSON object"
                )
            return replace(outcome, call=Call(known, arguments), planner=proposer)
        case _:
            raise ProposalError("reply", f"it answered with {type(outcome).__name__}, which is no plan")


def _is_probability(value: object) -> bool:
    return isinstance(value, float | int) and 0 <= value <= 1  # which NaN is not


def _are_names(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(name, str) for name in cast("tuple[object, ...]", value)
    )


def _is_json(value: object) -> bool:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) for name in cast("Mapping[Any, Any]", value)
    ):
        return False
    try:
        json.dumps(dict(cast("Mapping[str, Any]", value)))
    except (TypeError, ValueError, RecursionError):
        return False
    return True
