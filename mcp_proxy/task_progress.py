"""Progress of a task towards its client: each stage is a step, and what an upstream reports goes between two."""

from mcp.shared.dispatcher import ProgressFnT

from mcp_proxy.ports import Stage

_MOST_QUOTED = 200


class TaskProgress:
    """Hands on what a task is at, as numbers that only grow."""

    def __init__(self, report: ProgressFnT | None) -> None:
        self._report = report
        self._stages = 0
        self._within = 0.0

    async def tell(self, stage: Stage, about: str) -> None:
        """The task has come to another stage."""
        self._stages, self._within = self._stages + 1, 0.0
        if self._report:
            await self._report(float(self._stages), None, f"{stage}: {about[:_MOST_QUOTED]}")

    async def relay(self, progress: float, total: float | None, message: str | None) -> None:
        """The call under way has come further: a share of it where its total is known, else a little more."""
        share = progress / total if total and 0 <= progress < total else 0.0
        self._within = max(share, self._within + (0.99 - self._within) / 100)
        said = message or (f"{progress:g} of {total:g}" if total else f"{progress:g}")
        if self._report:
            await self._report(self._stages + self._within, None, said)
