"""A planner behind the `Proposer` port."""

from collections.abc import Sequence

from local_llm import Planner, Task
from mcp_proxy.proposals import Proposal
from tool_registry import Candidate


class LocalProposer:
    """A planner on this machine."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.name = planner.name

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:  # noqa: ARG002
        """See `Proposer.propose`."""
        return Proposal(await self._planner.plan(task, candidates))
