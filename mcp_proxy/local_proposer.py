"""A local planner as a proposer: it has so long to answer, and whatever it does ends as a proposal or an error.

A planner that never awaits, as the embedded one, runs straight through; nothing can interrupt it, so it has to be quick.
"""

import asyncio
import math
from collections.abc import Sequence

import anyio
import structlog

from local_llm import Finished, NoPlan, Plan, Planner, Task
from mcp_proxy.proposals import Proposal, ProposalError
from tool_registry import Candidate

TIMEOUT = 10.0
"""Seconds a planner has for one call, where nothing else is said."""

log = structlog.stdlib.get_logger()


class LocalProposer:
    """`planner`, behind the port that escalators are behind too."""

    def __init__(self, planner: Planner, timeout: float = TIMEOUT) -> None:
        """A planner that has `timeout` seconds for each call."""
        self._planner = planner
        self._timeout = timeout

    @property
    def name(self) -> str:
        return self._planner.name

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:  # noqa: ARG002  whoever was asked before, it plans the same
        """See `Proposer.propose`. It costs nothing.

        Raises:
            ProposalError: of kind "timeout", or "unavailable" for a planner that raised. What that said stays out of
                it: it may quote the task, or the machine; the log has its type, and at the level debug the whole.
        """
        with anyio.move_on_after(self._timeout):
            return Proposal(await self._planned(task, candidates))
        remedy = "[planner] timeout says how long it may take"
        raise ProposalError("timeout", f"no answer within {self._timeout:g} s; {remedy}")

    async def _planned(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan | Finished:
        try:
            return await self._planner.plan(task, candidates)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            # It waited for something that was cancelled, as the future of a worker that died is.
            raise self._broken(error) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, the others can still be asked
            raise self._broken(error) from None

    def _broken(self, error: BaseException) -> ProposalError:
        kind = type(error).__name__
        log.warning("planner.failed", planner=self.name, error=kind)
        log.debug("planner.failed", planner=self.name, exc_info=error)
        return ProposalError("unavailable", f"it broke down ({kind}); --log-level debug says where")


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end, as opposed to something it waits for."""
    task = asyncio.current_task()
    return anyio.current_effective_deadline() == -math.inf or bool(task and task.cancelling())
