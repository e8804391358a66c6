"""Everything a client can reach, put together: the upstreams, the planner, the escalator and the journal.

How the parts are made is known in `running`; which upstreams run, and for whom, in `fleet`; what the clients of a
profile can have done with them, in `desk`.
"""

from collections.abc import Mapping
from typing import Any

from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT

from local_llm import Planner
from mcp_proxy.callers import CALLER
from mcp_proxy.config import Settings
from mcp_proxy.escalation import Escalator
from mcp_proxy.fleet import Fleet
from mcp_proxy.journal import Journal
from mcp_proxy.watchdog import Watchdog


class Switchboard(Fleet):
    """The whole. Made by `running`."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal | None,
        planner: Planner,
        escalator: Escalator | None,
        *,
        watchdog: Watchdog,
        tasks: TaskGroup,
        many_clients: bool,
    ) -> None:
        super().__init__(settings, watchdog=watchdog, tasks=tasks, many_clients=many_clients)
        self.journal = journal
        self.planner = planner
        self.escalator = escalator

    async def request(
        self, upstream: str, method: str, params: Mapping[str, Any], on_progress: ProgressFnT | None = None
    ) -> dict[str, Any]:
        """Send a request to an upstream on behalf of the client being served; see `Upstream.request`."""
        return await self.upstream_for(upstream, CALLER.get()).request(method, params, on_progress)
