"""What a validator found wrong, as values: where, by which keyword, what was wanted and what came.

The one place that knows what jsonschema's errors look like.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from jsonschema.exceptions import SchemaError, ValidationError

Path = tuple[str | int, ...]
"""Names and indexes from the arguments down to a value in them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One keyword that one value fails."""

    path: Path
    """The value's place; for a missing property, the object's that misses it."""
    keyword: str
    wanted: Any
    """What the keyword says: a type, a list of options, a bound."""
    value: Any
    schema: Mapping[str, Any]
    """The schema that the keyword stands in."""
    missing: str | None
    """The property that is absent, for `required`."""
    branches: tuple[tuple["Fault", ...], ...]
    """What is wrong by each alternative, for `anyOf` and `oneOf`; empty where more than one fits."""


def pointer_of(path: Iterable[str | int]) -> str:
    """A path as a JSON Pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def fault_of(error: ValidationError | SchemaError) -> Fault:
    """A jsonschema error as a value."""
    path, missing = tuple(error.absolute_path), None
    wanted: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "required" and not isinstance(wanted, list):
        # In draft-03 it is the property's own, and the error stands there.
        path, missing = path[:-1], str(path[-1])
    elif error.validator == "required":
        missing = error.message
    return Fault(
        path,
        str(error.validator),
        wanted,
        error.instance,
        cast("Mapping[str, Any]", schema) if isinstance(schema, Mapping) else {},
        missing,
        _branches(error),
    )


def _branches(error: ValidationError | SchemaError) -> tuple[tuple[Fault, ...], ...]:
    branches: dict[object, list[Fault]] = {}
    for inner in cast("Iterable[ValidationError]", error.context or ()):
        branches.setdefault(inner.relative_schema_path[0], []).append(fault_of(inner))
    return tuple(map(tuple, branches.values()))
