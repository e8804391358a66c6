"""What is wrong with arguments, told so that whoever wrote them can put it right: where, what was expected, what came.

Never quotes what may be a secret.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from tool_registry.faults import Fault, pointer_of
from tool_registry.spelling import near_miss

_SHOWN = 80
"""How much of a value is quoted, in characters."""
_COMPARED = 128
"""Names that a wrong one is compared with; among more, nobody is told what may be meant."""
_SHOWN_OPTIONS = 12
_SECRET = re.compile(r"pass|pwd|secret|token|key|credential|auth|cookie|cvv|\bpin\b|ssn", re.IGNORECASE)
"""Names of values that are never quoted. Wider than it need be: a hidden page token costs nothing."""

_KINDS: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    type(None): "null",
}
_SENTENCES = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "divisibleBy": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
    "format": "a {} such as 2026-11-21 or 2026-11-21T09:30:00Z",
    "uniqueItems": "items that differ",
    "contains": "an item that fits its contains",
}


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """One thing wrong with a tool's arguments."""

    pointer: str
    """JSON Pointer (RFC 6901) into the arguments; empty for the arguments as a whole."""
    message: str
    missing: str | None = None
    """The parameter that is absent though required, when that is the problem."""

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}"


def is_secret(path: Iterable[str | int], schema: object = None) -> bool:
    """Whether the value at `path` may be a secret: by a name on the way to it, or because its schema says so."""
    if isinstance(schema, Mapping):
        about = cast("Mapping[str, Any]", schema)
        if about.get("writeOnly") is True or about.get("format") == "password":
            return True
    return any(isinstance(part, str) and _SECRET.search(part) for part in path)


def quoted(value: Any) -> str:
    """A value as JSON, cut to a readable length. What is long is not written out first."""
    if isinstance(value, dict):
        return f"an object of {len(cast('dict[str, Any]', value))} members"
    if isinstance(value, list):
        return f"an array of {len(cast('list[Any]', value))} items"
    if isinstance(value, str):
        text = json.dumps(value[: _SHOWN + 1], ensure_ascii=False)
        return text if len(value) <= _SHOWN else f'{text[:_SHOWN]}…"'
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 4 * _SHOWN:
        return f"a number of about {value.bit_length() * 3 // 10} digits"
    return json.dumps(value)


def problems_of(faults: Iterable[Fault]) -> tuple[ArgumentProblem, ...]:
    """Faults as problems, each at its own place, none twice."""
    return tuple(dict.fromkeys(_problems(faults)))


def _problems(faults: Iterable[Fault]) -> Iterator[ArgumentProblem]:
    for fault in faults:
        if fault.missing is not None:
            place = pointer_of((*fault.path, fault.missing))
            yield ArgumentProblem(place, "required but missing", missing=fault.missing)
        elif branch := _telling_branch(fault):
            yield from _problems(branch)
        else:
            yield ArgumentProblem(pointer_of(fault.path), _message(fault))


def _telling_branch(fault: Fault) -> tuple[Fault, ...]:
    """Of alternatives that all fail, the faults by the only one that has the right type to begin with."""
    inside = [branch for branch in fault.branches if not any(_is_about_all(fault, inner) for inner in branch)]
    return inside[0] if len(inside) == 1 else ()


def _is_about_all(fault: Fault, inner: Fault) -> bool:
    """Whether `inner` rules an alternative out from the start."""
    return inner.path == fault.path and inner.keyword in {"type", "const", "enum"}


def _message(fault: Fault) -> str:
    if fault.keyword == "additionalProperties":
        return f"not a parameter here{_meant(fault)}"
    value = fault.value
    if is_secret(fault.path, fault.schema):
        came = f"{_kind(value)} (not shown)"
    elif fault.keyword in {"minLength", "maxLength"} and len(value) > _SHOWN:
        came = f"{len(value)}"
    else:
        came = quoted(value)
    return f"expected {_expected(fault)}, got {came}"


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "object")


def _expected(fault: Fault) -> str:
    wanted = fault.wanted
    match fault.keyword:
        case "type":
            expected = _alternatives(wanted)
        case "const":
            expected = quoted(wanted)
        case "enum":
            expected = _options(wanted)
        case "pattern":
            expected = f"text that matches {str(wanted)[:_SHOWN]}"
        case "not":
            expected = "something else" if wanted else "nothing here"
        case "anyOf" | "oneOf":
            expected = _union(fault)
        case keyword if keyword in _SENTENCES:
            expected = _SENTENCES[keyword].format(str(wanted)[:_SHOWN])
        case keyword:
            expected = f"something its {keyword} allows"
    return expected


def _meant(fault: Fault) -> str:
    """What an unknown property was probably meant to be."""
    names: Mapping[str, Any] = fault.schema.get("properties", {})
    written = str(fault.path[-1])
    if len(names) <= _COMPARED and (near := near_miss(written, (), names)):
        return f"; did you mean {near}?"
    listed = ", ".join([*names][:_SHOWN_OPTIONS])
    return f"; there {'is' if len(names) == 1 else 'are'} {listed}" if names else "; there are none"


def _union(fault: Fault) -> str:
    """What alternatives allow, as far as types and options tell them apart."""
    if not fault.branches:
        return "exactly one of the alternatives to fit"
    outright = [inner for branch in fault.branches for inner in branch if _is_about_all(fault, inner)]
    told = dict.fromkeys(_expected(inner) for inner in outright)
    return " or ".join(told) if told and len(told) <= _SHOWN_OPTIONS else "one of its alternatives"


def _alternatives(kinds: Any) -> str:
    named = cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]
    return " or ".join(kind if isinstance(kind, str) else "another schema" for kind in named)


def _options(values: list[Any]) -> str:
    more = len(values) - _SHOWN_OPTIONS
    shown = ", ".join(quoted(value) for value in values[:_SHOWN_OPTIONS])
    return f"one of {shown}{f' and {more} more' if more > 0 else ''}"
