"""What the clients of one profile see, and the calls they make; their tasks are `task_runner`'s affair.

The upstreams themselves, and when their catalog changes, are the switchboard's affair.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import structlog
from mcp.shared.dispatcher import ProgressFnT

from mcp_proxy.budget import BudgetedEscalator
from mcp_proxy.config import ProfileTable
from mcp_proxy.profile_settings import ExposingTable
from mcp_proxy.proposals import Proposer
from mcp_proxy.records import CallWatch
from mcp_proxy.results import with_repairs
from mcp_proxy.switchboard import Switchboard
from tool_registry import (
    ArgumentProblem,
    Catalog,
    CatalogProblem,
    Checked,
    Repair,
    ToolEntry,
    ToolIndex,
    UnusableSchemaError,
)
from tool_registry.exposure import definition_tokens
from tool_registry.profiles import View, view

_LOGGED_REPAIRS = 20
_GONE = ProfileTable(allow=())
"""What is left of a profile that was removed: nothing, so that its clients do not come to see more than before."""

log = structlog.stdlib.get_logger()


class InvalidArgumentsError(Exception):
    """Arguments that do not fit their tool's inputSchema: the caller's to correct."""

    def __init__(self, tool: ToolEntry, problems: tuple[ArgumentProblem, ...]) -> None:
        self.tool = tool
        self.problems = problems
        super().__init__(f"{tool.qualified}: {'; '.join(map(str, problems))}")


class QuarantinedError(Exception):
    """A call of a tool that has to be looked at by a person first."""

    def __init__(self, tool: ToolEntry) -> None:
        self.tool = tool
        super().__init__(tool.quarantine)


@dataclass(frozen=True)
class Seen:
    """What one profile shows of a catalog: what one request sees from beginning to end."""

    whole: Catalog
    catalog: View

    @cached_property
    def tokens(self) -> int:
        """What the definitions of all tools cost, in tokens."""
        return definition_tokens(tool.listed() for tool in self.catalog.tools.values())


class Desk:
    """The switchboard, as far as clients of one profile reach it."""

    def __init__(self, board: Switchboard, profile: str = "") -> None:
        """The desk of a configured profile; of those who have none, with an empty name."""
        self.board = board
        self.profile = profile
        self._everyone = ProfileTable()
        self._table = self._configured
        self._seen = self._look()
        self._complain(())
        self._index = ToolIndex(())
        self.retrieval = board.retrieval
        """Finds tools in what its clients see."""
        if profile:
            self._index = self._index.with_tools(self._seen.catalog.tools.values())
            self.retrieval = board.retrieval_in(self._own_index, self._take_index)

    def close(self) -> None:
        """Let go of what the board keeps for it. Its clients have to be gone."""
        if self.profile:
            self.board.let_go(self.retrieval)

    @property
    def _configured(self) -> ProfileTable:
        """Its profile, as the configuration has it at this moment."""
        if not self.profile:
            return self._everyone
        return self.board.settings.profiles.get(self.profile, _GONE)

    @property
    def exposing(self) -> ExposingTable:
        """How much of what there is, its clients are shown."""
        return self._configured if self.profile else self.board.settings.server

    @property
    def seen(self) -> Seen:
        """What its clients see at this moment."""
        table = self._configured
        if self._seen.whole is not self.board.snapshot.catalog or self._table is not table:
            known = self._seen.catalog.problems
            self._table = table
            self._seen = self._look()
            self._complain(known)
            if self.profile:
                self._index = self._index.with_tools(self._seen.catalog.tools.values())
                self.retrieval.renew()
        return self._seen

    @property
    def allowed(self) -> Collection[str]:
        """Patterns for what its clients may see, as a profile has them."""
        return self._configured.allow

    def _look(self) -> Seen:
        catalog = self.board.snapshot.catalog
        return Seen(catalog, view(catalog, self._table.profile if self.profile else None))

    def _own_index(self) -> ToolIndex:
        _ = self.seen  # which brings it up to date
        return self._index

    def _take_index(self, index: ToolIndex) -> None:
        self._index = index

    def _complain(self, known: Collection[CatalogProblem]) -> None:
        for problem in self._seen.catalog.problems:
            if problem not in known:
                log.warning("profile.problem", profile=self.profile, problem=str(problem))

    def escalators(self, task_id: str) -> tuple[Proposer, ...]:
        """Who is asked above the local planners for one task, in order, within the budgets of all and of the profile."""
        return tuple(
            proposer.for_profile(self.profile, self._configured.budget).for_task(task_id)
            if isinstance(proposer, BudgetedEscalator)
            else proposer
            for proposer in self.board.escalators
        )

    async def call_tool(
        self,
        tool: ToolEntry,
        params: Mapping[str, Any],
        on_progress: ProgressFnT | None = None,
        *,
        client: str = "",
        task_id: str | None = None,
    ) -> dict[str, Any]:
        """Validate and repair as the upstream's table says, make a call, and note it in the journal.

        What was put right in the arguments is said in the result's `_meta`.

        Args:
            tool: the tool to call.
            params: those of `tools/call`; the name is replaced by the upstream's own.
            on_progress: receives the upstream's progress.
            client: name and version of the client, for the journal.
            task_id: the task the call is made for, if it is.

        Raises:
            QuarantinedError: the tool has changed, or is new, and nobody has accepted it.
            InvalidArgumentsError: the arguments do not fit the inputSchema; the upstream saw nothing.
            UnusableSchemaError: the inputSchema itself is broken.
            UpstreamUnavailableError: the upstream is down, or went away before it answered.
            MCPError: the upstream answered with an error.
        """
        # As it stands now: it may have changed while a person was asked.
        current = self.seen.catalog.tools.get(tool.qualified, tool)
        if current.quarantine:
            raise QuarantinedError(current)
        checked = await self._checked(tool, params.get("arguments") or {})
        params = {**params, "name": tool.name}
        if checked.repairs:
            log_repairs(tool, checked.repairs)
        if checked.repairs or tool.preset:
            params["arguments"] = tool.completed(checked.arguments)
        watch = CallWatch(tool, checked.arguments, client, task_id)
        try:
            with watch.watching():
                result = await self.board.request(tool.upstream, "tools/call", params, on_progress)
                watch.result = result = await self.board.check_output(tool, result)
                return with_repairs(result, checked.repairs) if checked.repairs else result
        finally:
            if self.board.journal and task_id:
                await self.board.journal.record_call(watch.record)
            elif self.board.journal:
                # Nobody waits for the disk, as nobody does on the fast lane.
                self.board.journal.note(watch.record)

    async def check(self, tool: ToolEntry, arguments: Mapping[str, Any]) -> Checked:
        """Arguments checked by the tool's schema, and put right where its upstream's table allows it.

        Raises:
            UnusableSchemaError: the schema is broken.
        """
        return await self.board.arguments.checked(tool, arguments, repair=self.repairs(tool))

    def validation_of(self, tool: ToolEntry) -> Literal["enforce", "warn", "off"]:
        """What becomes of a call of `tool` whose arguments do not fit."""
        upstream = self.board.upstreams.get(tool.upstream)
        return self._table.validation or (upstream.validation if upstream else "enforce")

    async def _checked(self, tool: ToolEntry, arguments: Mapping[str, Any]) -> Checked:
        validation = self.validation_of(tool)
        if validation == "off":
            return Checked(arguments)
        try:
            checked = await self.check(tool, arguments)
        except UnusableSchemaError as error:
            if validation == "enforce":
                raise
            log.warning("call.unchecked", tool=tool.qualified, reason=str(error))
            return Checked(arguments)
        if checked.problems and validation == "enforce":
            raise InvalidArgumentsError(tool, checked.problems)
        for problem in checked.problems:
            # Not the message, which quotes the value.
            log.warning("call.invalid_argument", tool=tool.qualified, pointer=problem.pointer)
        return checked

    def repairs(self, tool: ToolEntry) -> bool:
        """Whether the tool's arguments may be put right."""
        upstream = self.board.upstreams.get(tool.upstream)
        return upstream is None or upstream.repairs


def log_repairs(tool: ToolEntry, repairs: Sequence[Repair]) -> None:
    """Where, and what kind: values stay out of the log."""
    told = [f"{repair.pointer} {repair.kind}" for repair in repairs]
    log.info("call.repaired", tool=tool.qualified, repairs=told[:_LOGGED_REPAIRS], count=len(told))
