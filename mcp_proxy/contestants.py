"""Who can be evaluated, by name: the planners on this machine, and Claude as the configuration has it.

A new planner joins by a line in `_CONTESTANTS`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import click

from local_llm import Task
from local_llm.evaluation import Answer, Contestant, NoAnswerError, PlannerContestant
from local_llm.pocket import PocketPlanner
from mcp_proxy.config import load
from mcp_proxy.proposals import ErrorKind, ProposalError, Proposer
from mcp_proxy.running import running
from tool_registry import Candidate

_FINAL: frozenset[ErrorKind] = frozenset({"authentication", "billing", "model", "budget"})
"""Failures that the next record would meet too."""


class ProposerContestant:
    """Whoever is asked through the port for paid models. Its confidences are not measured."""

    is_measured = False

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer

    @property
    def name(self) -> str:
        return self._proposer.name

    async def answer(self, task: Task, candidates: Sequence[Candidate]) -> Answer:
        try:
            proposal = await self._proposer.propose(task, candidates, "")
        except ProposalError as error:
            raise NoAnswerError(error.message, final=error.kind in _FINAL) from error
        return Answer(proposal.outcome, proposal.usage.cost if proposal.usage else None)


def contestant(name: str, config: Path | None) -> AbstractAsyncContextManager[Contestant]:
    """The contestant of a name, there for as long as the block lasts.

    Args:
        name: what it is called.
        config: the configuration file, for whoever needs one; None for the one that is found.

    Raises:
        click.UsageError: there is none of that name.
    """
    if name not in _CONTESTANTS:
        raise click.UsageError(f"there is no planner {name!r}; there are: {', '.join(_CONTESTANTS)}")
    return _CONTESTANTS[name](config)


@asynccontextmanager
async def _pocket(config: Path | None) -> AsyncGenerator[Contestant]:  # noqa: ARG001  it needs none
    yield PlannerContestant(PocketPlanner())


@asynccontextmanager
async def _claude(config: Path | None) -> AsyncGenerator[Contestant]:
    settings = load(config)
    async with running(settings.model_copy(update={"upstreams": {}})) as board:
        if board.escalator is None:
            raise click.UsageError(
                "no escalation is configured: an [escalation] table says which model, with which key"
            )
        yield ProposerContestant(board.escalator)


_CONTESTANTS: Mapping[str, Callable[[Path | None], AbstractAsyncContextManager[Contestant]]] = {
    "pocket": _pocket,
    "claude": _claude,
}
