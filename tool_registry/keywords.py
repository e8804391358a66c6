"""The validator classes: jsonschema's own, with every keyword metered and the few that can run away replaced.

A schema of a few hundred bytes can ask for more checks than there is time (anyOf in anyOf, a `$ref` twice at every
level): steps are counted, and past a limit the check ends. Knows no clock, so that a verdict never depends on one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from jsonschema import (
    Draft3Validator,
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType]
from jsonschema_specifications import REGISTRY as METASCHEMAS
from referencing import Registry, Resource
from referencing.jsonschema import specification_with

from tool_registry.dialect import Draft
from tool_registry.patterns import Matcher, matcher
from tool_registry.spelling import is_date, is_date_time

STEP_LIMIT = 50_000
"""Steps one check may take; a step is one keyword at one place, about 5 µs. Ordinary calls take about ten."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a check may take."""

    steps: int
    matching: int
    """Characters matched against patterns, times the instructions of the pattern: 10 to 25 ns at the worst."""


FULL = Effort(STEP_LIMIT, 1_000_000_000)
"""Seconds, at the worst: not for a thread in which others wait."""
BRIEF = Effort(2_000, 500_000)
"""Some 10 ms, at the worst. No ordinary call needs more."""

_CHARACTERS_PER_STEP = 200
"""How much of an error's message costs as much as a step: each quotes the whole value it is about."""
_DEEPEST = 120
"""Keywords within each other, each of some five frames of the interpreter, of which it allows a thousand."""
_MEMBERS_PER_STEP = 16
_PRICES = {"$ref": 3, "$dynamicRef": 3, "$recursiveRef": 3}
"""Steps of the keywords that take more than one, for finding what they refer to."""

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class TooManyStepsError(Exception):
    """A check that goes past its effort."""


class Meter:
    """What is left of a check's effort."""

    def __init__(self, effort: Effort = FULL) -> None:
        self.effort = effort
        self.left = effort.steps
        self._matching = effort.matching
        self._depth = 0

    def spend(self, steps: int) -> None:
        """Raises: TooManyStepsError: there are not so many left."""
        self.left -= steps
        if self.left < 0:
            raise TooManyStepsError

    def enter(self) -> None:
        """Go into a keyword, within all that were not left yet.

        Raises:
            RecursionError: there are too many. The interpreter's own limit must not be come to: the library resolves
                references with native code, which it ends in the middle of, and with it the process.
        """
        if self._depth >= _DEEPEST:
            raise RecursionError
        self._depth += 1

    def leave(self) -> None:
        """Leave a keyword."""
        self._depth -= 1

    def matches(self, pattern: Matcher, text: str) -> bool:
        """Whether the pattern occurs in `text`.

        Raises:
            TooManyStepsError: finding that out may take more than is left.
        """
        self._matching -= pattern.size * len(text)
        if self._matching < 0:
            raise TooManyStepsError
        return pattern(text)


METER: ContextVar[Meter] = ContextVar("METER")
"""The meter of the check that is running."""


def _metered(name: str, check: Keyword) -> Keyword:
    price = _PRICES.get(name, 1)

    def metered(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        meter = METER.get()
        members = len(cast("Any", value)) if isinstance(value, list | dict) else 0
        meter.spend(price + members // _MEMBERS_PER_STEP)
        meter.enter()
        try:
            for error in check(validator, value, instance, schema) or ():
                meter.spend(1 + len(error.message) // _CHARACTERS_PER_STEP)
                yield error
        finally:
            meter.leave()

    return metered


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not METER.get().matches(matcher(pattern), instance):
        yield ValidationError("does not match")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    meter = METER.get()
    meter.spend(len(patterns) * len(instance))
    for pattern, schema in patterns.items():
        compiled = matcher(pattern)
        for name, value in instance.items():
            if meter.matches(compiled, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """One error for each property that is not allowed, at its own place."""
    if not validator.is_type(instance, "object"):
        return
    names = schema.get("properties", {})
    patterns = [matcher(pattern) for pattern in schema.get("patternProperties", {})]
    meter = METER.get()
    meter.spend(len(patterns) * len(instance))
    for name, value in instance.items():
        if name in names or any(meter.matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("not allowed", path=(name,))
        else:
            yield from validator.descend(value, allowed, path=name)


def _required(validator: Any, names: list[str], instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """One error for each missing property, with its name for a message: `faults` reads it there."""
    if validator.is_type(instance, "object"):
        yield from (ValidationError(name) for name in names if name not in instance)


def _enum(_validator: Any, options: list[Any], instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Metered on the way: an option may be as large as the schema."""
    if isinstance(instance, str):
        METER.get().spend(len(options) // 200)
        is_among = instance in options
    else:
        is_among = any(_is_same(option, instance) for option in options)
    if not is_among:
        yield ValidationError("is not one of the options")


def _const(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not _is_same(wanted, instance):
        yield ValidationError("is another value")


_VALUES_PER_STEP = 8


def _is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, list) and isinstance(other, list):
        items, others = cast("list[Any]", one), cast("list[Any]", other)
        METER.get().spend(1 + len(items) // _VALUES_PER_STEP)
        return len(items) == len(others) and all(map(_is_same, items, others))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        members, others = cast("Mapping[str, Any]", one), cast("Mapping[str, Any]", other)
        METER.get().spend(1 + len(members) // _VALUES_PER_STEP)
        return members.keys() == others.keys() and all(
            _is_same(members[name], others[name]) for name in members
        )
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _multiple_of(validator: Any, divisor: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """By the numbers as they are written: 0.3 is a multiple of 0.1, and no number is too large."""
    if not validator.is_type(instance, "number"):
        return
    try:
        is_multiple = (_written(instance) / _written(divisor)).denominator == 1
    except (ValueError, OverflowError):  # NaN, Infinity
        is_multiple = False
    if not is_multiple:
        yield ValidationError("is not a multiple")


def _written(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """In time linear in the items; jsonschema compares every object with every other."""
    if wanted is not True or not validator.is_type(instance, "array"):
        return
    METER.get().spend(len(instance) // 4)
    seen: set[Any] = set()
    for item in instance:
        key = hashable(item)
        if key in seen:
            yield ValidationError("has an item twice")
            return
        seen.add(key)


def hashable(value: Any) -> Any:
    """A key that two JSON values share exactly if they are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", *map(hashable, cast("list[Any]", value)))
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return ("object", frozenset((name, hashable(member)) for name, member in members.items()))
    return value


def _format(validator: Any, name: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Only dates: every other format is a note for people (2020-12 Validation, section 7.2.1), and read loosely."""
    test = {"date": is_date, "date-time": is_date_time}.get(name)
    if test and validator.is_type(instance, "string") and not test(instance):
        yield ValidationError(f"is not a {name}")


def _unevaluated(check: Keyword) -> Keyword:
    """Jsonschema looks each item up in a list of those that were evaluated."""

    def bounded(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        if isinstance(instance, list | dict):
            METER.get().spend(len(cast("Any", instance)) ** 2 // 100)
        return check(validator, value, instance, schema)

    return bounded


def _bounded(draft: Any) -> Any:
    keywords: dict[str, Any] = dict(draft.VALIDATORS)
    replaced: Mapping[str, Any] = {
        "pattern": _pattern,
        "enum": _enum,
        "const": _const,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
        "divisibleBy": _multiple_of,
        "uniqueItems": _unique_items,
        "format": _format,
    }
    keywords |= {name: check for name, check in replaced.items() if name in keywords}
    if "required" in keywords and draft is not Draft3Validator:
        keywords["required"] = _required
    for name in ("unevaluatedItems", "unevaluatedProperties"):
        if name in keywords:
            keywords[name] = _unevaluated(keywords[name])
    return cast("Any", extend)(draft, {name: _metered(name, check) for name, check in keywords.items()})


PLAIN: Mapping[Draft, Any] = {
    "2020-12": Draft202012Validator,
    "2019-09": Draft201909Validator,
    "draft-07": Draft7Validator,
    "draft-06": Draft6Validator,
    "draft-04": Draft4Validator,
    "draft-03": Draft3Validator,
}
"""jsonschema's own classes: what a schema itself is checked with."""

_BOUNDED: Mapping[Draft, Any] = {draft: _bounded(plain) for draft, plain in PLAIN.items()}


def _offline() -> Registry[Any]:
    """The metaschemas and nothing else, without their `$schema`: that would lead out of the metered classes."""
    resources: list[tuple[str, Resource[Any]]] = []
    for uri in METASCHEMAS:
        whole = cast("Mapping[str, Any]", METASCHEMAS.contents(uri))
        contents = {key: value for key, value in whole.items() if key != "$schema"}
        resources.append((uri, specification_with(whole["$schema"]).create_resource(contents)))
    return cast("Any", Registry)().with_resources(resources)


_OFFLINE = _offline()


def bounded_validator(draft: Draft, schema: Mapping[str, Any]) -> Validator:
    """A validator for `schema`, which reads nothing from outside. `METER` has to be set while it works."""
    return _BOUNDED[draft](schema, registry=_OFFLINE)
