"""Repairs that lose nothing: another spelling of the same value, never a guess between two readings.

jsonschema says where arguments are wrong, edits.py what may be meant there, and jsonschema again whether that
puts it right without putting anything else wrong. Valid arguments are never touched.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from tool_registry import spelling
from tool_registry.edits import Edit, Repair, edits_of_value, ranked_edits, spelled_as, steps_of
from tool_registry.faults import Fault, Path
from tool_registry.keywords import FULL, Effort, Meter, TooManyStepsError, hashable
from tool_registry.problems import ArgumentProblem, problems_of
from tool_registry.schema import CompiledSchema, TooCostlyError, UnusableSchemaError
from tool_registry.spelling import NOTHING

_REPAIR_LIMIT = 32
"""Repairs of one call, beside those that can be made all at once."""
_FAULT_LIMIT = 2_000
"""Things wrong that are looked at."""
_DEPTH_LIMIT = 4
"""How many repairs may stand inside one another: a JSON text in a list that was one item, and so on."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Arguments after a check: as they came, or repaired."""

    arguments: Mapping[str, Any]
    repairs: tuple[Repair, ...] = ()
    problems: tuple[ArgumentProblem, ...] = ()
    """What is still wrong; empty when `arguments` are valid."""


def check(
    schema: CompiledSchema, arguments: Mapping[str, Any], *, repair: bool = True, effort: Effort = FULL
) -> Checked:
    """`arguments` checked, and repaired as far as that loses nothing. Idempotent; the original is left alone.

    Raises:
        UnusableSchemaError, TooCostlyError: as `CompiledSchema.faults`.
    """
    if schema.is_surely_valid and schema.is_surely_valid(arguments):
        return Checked(arguments)
    faults = schema.faults(arguments, Meter(effort))
    if not faults:
        return Checked(arguments)
    mended = _mended(schema, arguments, effort) if repair else None
    if mended:
        return Checked(mended.document, mended.repairs, problems_of(mended.faults))
    return Checked(arguments, problems=problems_of(faults))


def read_text(schema: Mapping[str, Any], text: str) -> Any:
    """The value that someone who answers in words means for a parameter of this schema; else `text` itself.

    "5" is 5 for an integer and stays "5" for a string. Beside JSON, commas make an array: "a, b" is ["a", "b"].
    """
    kinds = spelling.types_of(schema)
    if "string" in kinds:
        return text
    spelled = [value for kind in kinds if (value := spelled_as(text, kind)[1]) is not NOTHING]
    if spelled:
        return spelled[0]
    return [part.strip() for part in text.split(",")] if "array" in kinds else text


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Arguments on their way to being right, and what is wrong with them still."""

    document: Any
    faults: list[Fault]
    repairs: tuple[Repair, ...] = ()


def _mended(schema: CompiledSchema, arguments: Mapping[str, Any], effort: Effort) -> _Attempt | None:
    """The arguments with all repairs that can be made; None if there are none."""
    mending = _Mending(schema, Meter(effort))
    try:
        return mending.below(_Attempt(arguments, mending.faults(arguments)))
    except TooManyStepsError as error:
        if effort != FULL:
            raise TooCostlyError from error
        return None
    except UnusableSchemaError:
        return None  # the search takes too many steps: the arguments stand as they came


@dataclass(slots=True)
class _Mending:
    """The search for repairs of one call. All its checks share the steps of one."""

    schema: CompiledSchema
    meter: Meter
    left: int = _REPAIR_LIMIT

    def faults(self, document: Any) -> list[Fault]:
        return self.schema.faults(document, self.meter, _FAULT_LIMIT)

    def below(self, attempt: _Attempt, path: Path = (), depth: int = 0) -> _Attempt | None:
        """The attempt with all repairs that can be made at or below `path`; None if there are none."""
        better = self._at_once(attempt, path)
        latest = better or attempt
        while self.left and (step := self._step(latest, path, depth)):
            self.left -= 1
            latest = better = step
        return better

    def _at_once(self, attempt: _Attempt, path: Path) -> _Attempt | None:
        """All values of another type that are spelled out, in one go: a list of a thousand numbers in quotes."""
        faults = [fault for fault in attempt.faults if fault.keyword == "type" and _is_below(fault, path)]
        self.meter.spend(sum(map(steps_of, faults)))
        edits = {edit.path: edit for fault in faults for edit in edits_of_value(fault)}
        return _better(attempt, self._edited(attempt, edits.values())) if len(edits) > 1 else None

    def _step(self, attempt: _Attempt, path: Path, depth: int) -> _Attempt | None:
        """The attempt with the first repair that can be made; None if there is none."""
        for fault in attempt.faults:
            if not _is_below(fault, path):
                continue
            for ways in self._ranked_ways(attempt, fault, depth):
                readings = {hashable(way.document): way for way in ways}
                if len(readings) == 1:
                    return readings.popitem()[1]
                if readings:
                    break
        return None

    def _ranked_ways(self, attempt: _Attempt, fault: Fault, depth: int) -> Iterator[list[_Attempt]]:
        """What would put a fault right: alternatives, the likeliest rank first."""
        if fault.branches:
            plans = [plan for branch in fault.branches if (plan := self._plan(branch))]
            tried = [self._tried(attempt, plan, fault.path, depth) for plan in plans]
            yield [way for way in tried if way]
            return
        for edits in self._edits(fault):
            tried = [self._tried(attempt, [edit], edit.path, depth) for edit in edits]
            yield [way for way in tried if way]

    def _plan(self, branch: tuple[Fault, ...]) -> list[Edit]:
        """Edits for all that is wrong by one alternative; empty if one thing cannot be edited, or in two ways."""
        plan: dict[Path, Edit] = {}
        for fault in branch:
            ranks = [rank for rank in self._edits(fault) if rank]
            if not ranks or len(ranks[0]) > 1:
                return []
            (edit,) = ranks[0]
            plan.setdefault(edit.path, edit)
        return [*plan.values()]

    def _edits(self, fault: Fault) -> Iterator[list[Edit]]:
        self.meter.spend(steps_of(fault))
        return ranked_edits(fault, self.schema.declared_names)

    def _tried(self, attempt: _Attempt, edits: list[Edit], path: Path, depth: int) -> _Attempt | None:
        """The attempt with these edits, and the repairs they call for at or below `path`; None if no better."""
        edited = self._edited(attempt, edits)
        if better := _better(attempt, edited):
            return better
        mended = self.below(edited, path, depth + 1) if depth < _DEPTH_LIMIT else None
        return _better(attempt, mended) if mended else None

    def _edited(self, attempt: _Attempt, edits: Iterable[Edit]) -> _Attempt:
        edits = list(edits)
        document = _with(attempt.document, {edit.path: edit.value for edit in edits})
        repairs = (*attempt.repairs, *(edit.repair for edit in edits))
        return _Attempt(document, self.faults(document), repairs)


def _better(before: _Attempt, after: _Attempt) -> _Attempt | None:
    """`after` if fewer things are wrong with it, and none that was not wrong before."""
    return after if _what_is_wrong(after) < _what_is_wrong(before) else None


def _what_is_wrong(attempt: _Attempt) -> set[tuple[Path, str, str | None]]:
    return {(fault.path, fault.keyword, fault.missing) for fault in attempt.faults}


def _is_below(fault: Fault, path: Path) -> bool:
    return fault.path[: len(path)] == path


def _with(document: Any, values: Mapping[Path, Any]) -> Any:
    """A copy of `document` with each of `values` in its place; what is changed nowhere is shared."""
    if () in values:
        return values[()]
    inside: dict[str | int, dict[Path, Any]] = {}
    for path, value in values.items():
        inside.setdefault(path[0], {})[path[1:]] = value
    if isinstance(document, list):
        items = cast("list[Any]", document)
        return [_with(item, inside[i]) if i in inside else item for i, item in enumerate(items)]
    members = cast("Mapping[str, Any]", document).items()
    return {name: _with(member, inside[name]) if name in inside else member for name, member in members}
