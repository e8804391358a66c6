"""What is right and what is wrong about one answer to one record. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from local_llm.evaluation.records import NamedCall, Record, same_name
from local_llm.evaluation.values import is_allowed, may_be_left_out, real_values, same_value
from tool_registry import ToolEntry

_MOST_MATCHED = 8
"""Calls, on either side, that are matched as well as can be; more are matched one after the other."""
_EXACT = 1000
"""What a call that is right as a whole counts in the matching, against 1 for each right argument."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a planner answered to a record."""

    calls: tuple[NamedCall, ...] = ()
    confidence: float | None = None
    """None where the planner has none, or gives none that is measured."""
    abstained: bool = False
    """Whether it would rather not call. Calls beside it count for records of kind "missing" only."""
    missing: tuple[str, ...] = ()
    """Required parameters that it says the request does not give; they are absent from its last call."""
    milliseconds: float = 0.0
    cost: float | None = None
    """In dollars; None where nothing is paid, or prices are not known."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is right about a prediction."""

    tool: bool
    """The tools named are the right ones."""
    exact: bool
    """Everything is: tools, arguments, no argument too many. Of kind "abstain": it abstained."""
    sound: bool
    """Right as far as it goes: exact, or, where it says what is missing, the tool and every argument it gives.

    This is what a confidence is about: asking the user for what is missing harms nobody, even if it could be read."""
    abstained: bool
    acted: bool
    """Whether it proposed a call."""
    args_right: int = 0
    args_total: int = 0
    """Arguments of the right calls, and how many of them the prediction has right."""
    invented: bool = False
    """Of kind "missing": an argument is given that the request does not give."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A record, the prediction for it (None where there was no usable answer), and the verdict."""

    record: Record
    prediction: Prediction | None
    verdict: Verdict


class _Gold(Protocol):
    """One right call."""

    @property
    def name(self) -> str: ...

    def rights(self, arguments: Mapping[str, Any]) -> dict[str, bool]:
        """For each argument of the right call, whether `arguments` have it right."""
        ...

    def gives_right(self, arguments: Mapping[str, Any]) -> bool:
        """Whether each of `arguments` is right, however many are absent."""
        ...

    def is_exactly(self, arguments: Mapping[str, Any]) -> bool: ...


@dataclass(frozen=True, slots=True)
class _ByValue:
    """A right call of which each argument has one right value."""

    name: str
    wanted: Mapping[str, Any]

    def rights(self, arguments: Mapping[str, Any]) -> dict[str, bool]:
        return {
            name: name in arguments and same_value(arguments[name], value)
            for name, value in self.wanted.items()
        }

    def gives_right(self, arguments: Mapping[str, Any]) -> bool:
        return all(
            name in self.wanted and same_value(value, self.wanted[name]) for name, value in arguments.items()
        )

    def is_exactly(self, arguments: Mapping[str, Any]) -> bool:
        return arguments.keys() == self.wanted.keys() and self.gives_right(arguments)


@dataclass(frozen=True, slots=True)
class _ByAllowed:
    """A right call of which each argument has a list of allowed values."""

    name: str
    allowed: Mapping[str, Sequence[Any]]
    parameters: Mapping[str, Mapping[str, Any]]
    required: frozenset[str]

    def rights(self, arguments: Mapping[str, Any]) -> dict[str, bool]:
        return {
            name: self._allows(name, arguments[name]) if name in arguments else self._spares(name)
            for name in self.allowed
        }

    def gives_right(self, arguments: Mapping[str, Any]) -> bool:
        return all(name in self.allowed and self._allows(name, value) for name, value in arguments.items())

    def is_exactly(self, arguments: Mapping[str, Any]) -> bool:
        return self.gives_right(arguments) and all(self.rights(arguments).values())

    def _allows(self, name: str, value: Any) -> bool:
        return is_allowed(value, self.allowed[name], self.parameters.get(name, {}))

    def _spares(self, name: str) -> bool:
        """Whether it is right to leave the argument out."""
        allowed = self.allowed[name]
        return not real_values(allowed) or (may_be_left_out(allowed) and name not in self.required)


def judge(record: Record, prediction: Prediction | None) -> Verdict:
    """What is right about `prediction`; None, for want of an answer, is wrong and has not abstained."""
    calls = prediction.calls if prediction else ()
    abstained = prediction is not None and (prediction.abstained or not calls)
    if abstained and record.kind != "missing":
        calls = ()
    if record.relevance or record.kind == "abstain":
        right = bool(calls) if record.relevance else abstained
        return Verdict(right, right, right, abstained, bool(calls))
    golds = _golds(record)
    matched = [None if place is None else calls[place] for place in _matching(golds, calls)]
    verdict = Verdict(
        tool=_same_tools(record, golds, calls),
        exact=_same_names(golds, calls) and _all_exact(record, golds, matched),
        sound=False,
        abstained=abstained,
        acted=bool(calls),
        invented=record.kind == "missing" and any(_invents(record, golds, call) for call in calls),
    )
    sound = verdict.exact or (
        bool(prediction and prediction.missing)
        and _same_names(golds, calls)
        and _all_given_right(record, golds, matched)
    )
    right, total = _counted(golds, matched) if record.partial_args_known else (0, 0)
    return replace(verdict, sound=sound, args_right=right, args_total=total)


def _golds(record: Record) -> tuple[_Gold, ...]:
    if not record.accept:
        return tuple(_ByValue(call.name, call.arguments) for call in record.calls)
    return tuple(_by_allowed(spec, record.tools) for spec in record.accept)


def _by_allowed(spec: Mapping[str, Mapping[str, Any]], tools: Iterable[Mapping[str, Any]]) -> _ByAllowed:
    ((name, allowed),) = spec.items()
    definition = next(
        (tool for tool in tools if same_name(tool["name"]) == same_name(name)), dict[str, Any]()
    )
    tool = ToolEntry("", name, name, definition)
    return _ByAllowed(name, allowed, tool.parameters, frozenset(tool.required))


def _same_names(golds: Sequence[_Gold], calls: Sequence[NamedCall]) -> bool:
    return Counter(same_name(gold.name) for gold in golds) == Counter(same_name(call.name) for call in calls)


def _same_tools(record: Record, golds: Sequence[_Gold], calls: Sequence[NamedCall]) -> bool:
    """Whether the tools are right; for the only call, one of `alt_tools` is as right."""
    others = {same_name(name) for name in record.alt_tools}
    other = len(golds) == len(calls) == 1 and same_name(calls[0].name) in others
    return other or _same_names(golds, calls)


def _all_exact(record: Record, golds: Sequence[_Gold], matched: Sequence[NamedCall | None]) -> bool:
    return all(
        call is not None
        and (
            gold.is_exactly(call.arguments)
            if record.partial_args_known
            else call.arguments.keys().isdisjoint(record.missing)
        )
        for gold, call in zip(golds, matched, strict=True)
    )


def _all_given_right(record: Record, golds: Sequence[_Gold], matched: Sequence[NamedCall | None]) -> bool:
    return record.partial_args_known and all(
        call is not None and gold.gives_right(call.arguments)
        for gold, call in zip(golds, matched, strict=True)
    )


def _invents(record: Record, golds: Sequence[_Gold], call: NamedCall) -> bool:
    if not record.partial_args_known:
        return not call.arguments.keys().isdisjoint(record.missing)
    known = {same_name(gold.name): gold.rights({}).keys() for gold in golds}
    return not call.arguments.keys() <= known.get(same_name(call.name), set[str]())


def _counted(golds: Sequence[_Gold], matched: Sequence[NamedCall | None]) -> tuple[int, int]:
    """How many arguments are right, of how many; those of a right call that nobody made are all wrong."""
    rights = [
        right
        for gold, call in zip(golds, matched, strict=True)
        for right in (gold.rights(call.arguments).values() if call else [False] * len(gold.rights({})))
    ]
    return sum(rights), len(rights)


def _matching(golds: Sequence[_Gold], calls: Sequence[NamedCall]) -> list[int | None]:
    """For each right call, the place of the call that is meant for it: of the same tool, and the most right."""

    @cache
    def worth(gold: int, call: int) -> int | None:
        if same_name(golds[gold].name) != same_name(calls[call].name):
            return None
        arguments = calls[call].arguments
        rights = golds[gold].rights(arguments)
        return 1 + sum(rights.values()) + _EXACT * golds[gold].is_exactly(arguments)

    @cache
    def best(gold: int, taken: int) -> tuple[int, tuple[int | None, ...]]:
        """The most that the right calls from `gold` on can be worth, with the calls in the bits of `taken` gone."""
        if gold == len(golds):
            return 0, ()
        rest, places = best(gold + 1, taken)
        options: list[tuple[int, tuple[int | None, ...]]] = [(rest, (None, *places))]
        for call in range(len(calls)):
            value = worth(gold, call)
            if value is not None and not taken >> call & 1:
                rest, places = best(gold + 1, taken | 1 << call)
                options.append((rest + value, (call, *places)))
        return max(options, key=lambda option: option[0])

    if max(len(golds), len(calls)) <= _MOST_MATCHED:
        return list(best(0, 0)[1])
    places: list[int | None] = []
    for gold in range(len(golds)):
        free = [
            (value, -call)
            for call in range(len(calls))
            if call not in places and (value := worth(gold, call))
        ]
        places.append(-max(free)[1] if free else None)
    return places
