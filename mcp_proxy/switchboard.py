"""Everything a client can reach, put together: the upstreams, the planner, the escalator and the journal.

How the parts are made is known in `running`; which upstreams run, and for whom, in `fleet`; what the clients of a
profile can have done with them, in `desk`.
"""

from collections.abc import Mapping
from typing import Any

from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Planner
from mcp_proxy.argument_check import ArgumentCheck
from mcp_proxy.callers import CALLER
from mcp_proxy.config import Settings
from mcp_proxy.fleet import Fleet
from mcp_proxy.journal import Journal
from mcp_proxy.local_proposer import LocalProposer
from mcp_proxy.output_check import OutputCheck
from mcp_proxy.policy import Policy
from mcp_proxy.proposals import Proposer
from mcp_proxy.result_budget import ResultBudget
from mcp_proxy.watchdog import Watchdog
from tool_registry import ToolEntry


class Switchboard(Fleet):
    """The whole. Made by `running`."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal | None,
        planner: Planner,
        escalator: Proposer | None,
        *,
        watchdog: Watchdog,
        tasks: TaskGroup,
        many_clients: bool,
    ) -> None:
        super().__init__(settings, watchdog=watchdog, tasks=tasks, many_clients=many_clients)
        self.journal = journal
        self.policy = Policy(
            settings.planner,
            settings.privacy.level,
            (LocalProposer(planner, settings.planner.timeout),),
            timeouts={"claude": settings.escalation.timeout} if settings.escalation else {},
        )
        """Who is asked for the calls of a task."""
        self.escalator = escalator
        self.results = ResultBudget(settings.results)
        self.arguments = ArgumentCheck()
        self.outputs = OutputCheck()

    async def check_output(self, tool: ToolEntry, result: dict[str, Any]) -> dict[str, Any]:
        """A result as the upstream's `check_output` has it go on."""
        upstream = self.upstreams.get(tool.upstream)
        return await self.outputs.checked(tool, result, upstream.check_output if upstream else "off")

    def budget_of(self, tool: ToolEntry) -> int:
        """How many tokens a result of a tool may have; 0 for any number."""
        upstream = self.upstreams.get(tool.upstream)
        return self.results.tokens(upstream.result_budget if upstream else None)

    @property
    def cuts_results(self) -> bool:
        """Whether any result may be cut, so that there is something to read on in."""
        return any(self.results.tokens(upstream.result_budget) for upstream in self.upstreams.values())

    async def request(
        self, upstream: str, method: str, params: Mapping[str, Any], on_progress: ProgressFnT | None = None
    ) -> dict[str, Any]:
        """Send a request to an upstream on behalf of the client being served; see `Upstream.request`."""
        return await self.upstream_for(upstream, CALLER.get()).request(method, params, on_progress)
