"""The pocket planner: reads a task, fills each likely tool, judges the fits, and says how sure it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_llm.plan import Call, NoPlan, Plan, Task
from local_llm.pocket.choose import Fit, judge
from local_llm.pocket.claims import find_claims
from local_llm.pocket.confidence import Confidence, shipped
from local_llm.pocket.fill import Filling, FindClaims, fill
from local_llm.pocket.mention import Stretch, named_server
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading, read_tool
from tool_registry import Candidate, ToolEntry

LONGEST_TASK = 2000
"""Longest task that is read, in characters: what is longer is no single call, and would cost time."""

MOST_VALUES = 60
"""Most numbers, paths, quotes and the like in a task that is planned here."""

Judge = Callable[[TaskReading, Filling, tuple[Stretch, ...]], Fit]

_LEAST = 0.42
"""The fit below which no candidate is taken for the task's tool."""
_TIE = 0.04
"""Lead over the second fit below which two tools fit alike."""
_KNOWN_LIMIT = 4096


class PocketPlanner:
    """Plans from the words of the task and the tools' own schemas, in milliseconds, without a model.

    `confidence` is a calibrated probability; `docs/confidence.md` says of what, and how well it holds.
    """

    name = "pocket"

    def __init__(
        self, find: FindClaims = find_claims, judge: Judge = judge, confidence: Confidence | None = None
    ) -> None:
        """A planner.

        Args:
            find: where claims come from.
            judge: how well a filled tool suits a task.
            confidence: how sure a plan is; None for the one that is shipped.
        """
        self._find = find
        self._judge = judge
        self._confidence = confidence or shipped()
        self._known: dict[int, ToolReading] = {}

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan:
        """The call among `candidates` that the task asks for, or why there is none. Never raises."""
        if len(task.text) > LONGEST_TASK:
            return self._none(f"a task of {len(task.text)} characters is too long to plan here", candidates)
        if not candidates:
            return self._none("no tool shares a word with the task", candidates)
        return self._plan(task, candidates)

    def _plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan:
        reading = TaskReading(task.text)
        if len(reading.spans) > MOST_VALUES:
            return self._none(f"{len(reading.spans)} values are too many to place in one call", candidates)
        server, mention = named_server(task.text, (candidate.tool.upstream for candidate in candidates))
        fits = sorted(
            (
                self._fit(reading, candidate.tool, task.answers, (mention,))
                for candidate in candidates
                if server in {None, candidate.tool.upstream}
            ),
            key=lambda fit: -fit.score,
        )
        best = fits[0]
        others = _alternatives(fits, candidates)
        if best.score < _LEAST:
            named = best.filling.tool.tool.qualified
            return self._none(
                f"no tool fits; the nearest, {named}, leaves {_listed(best.leftover)} open", candidates
            )
        rival = _rival(best, fits)
        return Plan(
            call=Call(best.filling.tool.tool, best.filling.arguments),
            confidence=self._confidence(best, rival),
            planner=self.name,
            reason=_reason(best, rival),
            missing=best.filling.missing,
            alternatives=others,
        )

    def _fit(
        self, reading: TaskReading, tool: ToolEntry, answers: Mapping[str, Any], taken: tuple[Stretch, ...]
    ) -> Fit:
        filling = fill(reading, self._read(tool), answers, self._find, taken)
        return self._judge(reading, filling, taken)

    def _read(self, tool: ToolEntry) -> ToolReading:
        """The tool's reading, kept for as long as this very entry is in use."""
        known = self._known.get(id(tool))
        if known is None or known.tool is not tool:
            if len(self._known) >= _KNOWN_LIMIT:
                self._known.clear()
            known = self._known[id(tool)] = read_tool(tool)
        return known

    def _none(self, reason: str, candidates: Sequence[Candidate]) -> NoPlan:
        return NoPlan(self.name, reason, tuple(candidates))


def _rival(best: Fit, fits: Sequence[Fit]) -> Fit | None:
    """The best other tool; one that calls itself deprecated is none."""
    return next((fit for fit in fits if fit is not best and not fit.filling.tool.deprecated), None)


def _reason(best: Fit, rival: Fit | None) -> str:
    """One line for people; of the task it quotes only what stayed unexplained, never a value."""
    tool = best.filling.tool.tool
    parts = [f"{tool.qualified} explains {best.covered:.0%} of the task"]
    parts += [f"{claim.slot.name}: {claim.why}" for claim in best.filling.claims]
    if best.leftover:
        parts.append(f"unexplained: {_listed(best.leftover)}")
    parts += best.reservations
    if rival and best.score - rival.score < _TIE:
        other = rival.filling.tool.tool
        unnamed = "" if other.upstream == tool.upstream else ", and the task names no server"
        parts.append(f"{other.qualified} fits as well{unnamed}")
    return "; ".join(parts)


def _alternatives(fits: Sequence[Fit], candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates but the best, in the order of their fit."""
    by_tool = {id(candidate.tool): candidate for candidate in candidates}
    return tuple(by_tool[id(fit.filling.tool.tool)] for fit in fits[1:])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in dict.fromkeys(names)) or "nothing"
