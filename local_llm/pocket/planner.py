"""The pocket planner: reads a task, fills each likely tool, judges the fits, and says how sure it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from local_llm.plan import Call, Finished, NoPlan, Plan, Task
from local_llm.pocket.choose import Fit, judge
from local_llm.pocket.claims import find_claims
from local_llm.pocket.clauses import clauses
from local_llm.pocket.confidence import Confidence, shipped
from local_llm.pocket.correct import corrected
from local_llm.pocket.dates import said_now
from local_llm.pocket.fill import fill
from local_llm.pocket.mention import named_server
from local_llm.pocket.seams import FindClaims, Judge
from local_llm.pocket.steps import NextStep, next_step
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading, read_tool
from tool_registry import Candidate, ToolEntry

LONGEST_TASK = 2000
"""Longest task that is read, in characters: what is longer is no single call, and would cost time."""

MOST_VALUES = 60
"""Most numbers, paths, quotes and the like in a task that is planned here."""

Clock = Callable[[], datetime]
"""What time it is for the person who gives the task, local to them."""

_LEAST, _LEAST_AHEAD, _LEAST_OF_OTHER_DEED = 0.3, 0.2, 0.42
"""The fit below which no candidate is taken for the task's tool: in general, ahead of all others, and where it does
another thing than the task wants done."""
_AHEAD = 0.05
_RETRIEVAL = 0.7
"""What a tool falls behind that was found with a score of nothing, against one found with the best."""
_TIE = 0.04
"""Lead over the second fit below which two tools fit alike."""
_SAME_SERVER = 0.1
"""What a tool of the server of the step before has over another that fits as well."""
_KNOWN_LIMIT = 4096


class PocketPlanner:
    """Plans from the words of the task and the tools' own schemas, in milliseconds, without a model.

    `confidence` is a calibrated probability; `docs/confidence.md` says of what, and how well it holds.
    """

    name = "pocket"

    def __init__(
        self,
        find: FindClaims = find_claims,
        judge: Judge = judge,
        confidence: Confidence | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        """A planner.

        Args:
            find: where claims come from.
            judge: how well filled tools suit a task.
            confidence: how sure a plan is; None for the one that is shipped.
            clock: what time it is for the user; None for one who does not know.
        """
        self._find = find
        self._judge = judge
        self._confidence = confidence or shipped()
        self._clock = clock
        self._known: dict[int, ToolReading] = {}

    async def plan(self, task: Task, candidates: Sequence[Candidate]) -> Plan | NoPlan | Finished:
        """The call among `candidates` that comes next for the task, or why there is none. Never raises."""
        if len(task.text) > LONGEST_TASK:
            return self._none(f"a task of {len(task.text)} characters is too long to plan here", candidates)
        if task.corrects:
            return corrected(self.name, task, candidates)
        step = next_step(task)
        if step is None:
            return Finished(self.name, f"each of the {len(clauses(task.text))} steps of the task is done")
        if not candidates:
            return self._none("no tool shares a word with the task", candidates)
        return self._plan(task, step, candidates)

    def _plan(self, task: Task, step: NextStep, candidates: Sequence[Candidate]) -> Plan | NoPlan:
        _, now = said_now(task.text, self._clock() if self._clock else None)
        text, _ = said_now(step.text, None)
        reading = TaskReading(text, step.done, now)
        if len(reading.spans) > MOST_VALUES:
            return self._none(f"{len(reading.spans)} values are too many to place in one call", candidates)
        fits = self._fits(reading, step, task.answers, candidates)
        best = fits[0]
        if not _is_fit(best, _rival(best, fits)):
            named = best.filling.tool.tool.qualified
            return self._none(
                f"no tool fits; the nearest, {named}, leaves {_listed(best.leftover)} open", candidates
            )
        rival = _rival(best, fits)
        return Plan(
            call=Call(best.filling.tool.tool, best.filling.arguments),
            confidence=self._confidence(best, rival),
            planner=self.name,
            reason=step.numbered(_reason(best, rival)),
            missing=best.filling.missing,
            alternatives=_alternatives(fits, candidates),
            last=step.last,
        )

    def _fits(
        self,
        reading: TaskReading,
        step: NextStep,
        answers: Mapping[str, Any],
        candidates: Sequence[Candidate],
    ) -> list[Fit]:
        """How each candidate fits the step, best first: those of the server it names, or of the one named before it."""
        server, mention = named_server(reading.text, (candidate.tool.upstream for candidate in candidates))
        tools = [self._read(c.tool) for c in candidates if server in {None, c.tool.upstream}]
        found = self._find(reading, tools)
        fillings = [
            fill(reading, tool, claims, answers, (mention,))
            for tool, claims in zip(tools, found, strict=True)
        ]
        judged = self._judge(reading, fillings, (mention,))
        fits = sorted(_with_retrieval(judged, candidates), key=_rank, reverse=True)
        if server is None and step.done:
            before, _ = named_server(step.before, (candidate.tool.upstream for candidate in candidates))
            return _preferring(fits, before or step.done[-1].call.tool.upstream, only=before is not None)
        return fits

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


def _with_retrieval(fits: Sequence[Fit], candidates: Sequence[Candidate]) -> Iterator[Fit]:
    """The fits, with how well their tools were found for the task."""
    most = max((candidate.score for candidate in candidates), default=0.0)
    found = (
        {id(candidate.tool): max(candidate.score / most, 0.0) for candidate in candidates} if most > 0 else {}
    )
    for fit in fits:
        yield replace(fit, found=found.get(id(fit.filling.tool.tool), 1.0))


def _rank(fit: Fit) -> float:
    """What the fits are ordered by. How a tool was found only orders: it makes no tool fit better, and no plan surer."""
    return fit.score - _RETRIEVAL * (1 - fit.found)


def _is_fit(best: Fit, rival: Fit | None) -> bool:
    """Whether `best` suits the task well enough to be proposed at all."""
    if not best.agrees:
        return best.score >= _LEAST_OF_OTHER_DEED
    ahead = rival is None or best.score - rival.score >= _AHEAD
    return best.score >= (_LEAST_AHEAD if ahead else _LEAST)


def _preferring(fits: Sequence[Fit], upstream: str, *, only: bool) -> list[Fit]:
    """The fits with those of `upstream` first where they are about as good; nothing but them if `only` and one fits."""
    own = [fit for fit in fits if fit.filling.tool.tool.upstream == upstream]
    if only and own and own[0].score >= _LEAST:
        return own
    preferred = (
        replace(fit, score=fit.score + _SAME_SERVER) if fit.filling.tool.tool.upstream == upstream else fit
        for fit in fits
    )
    return sorted(preferred, key=_rank, reverse=True)


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
