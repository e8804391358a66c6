"""JSON Schema for tool arguments: compile an inputSchema, and say what is wrong with arguments.

Schemas come from strangers: each is compiled alone, and a `$ref` that leaves it is never fetched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

_SHOWN = 160
"""How much of an offending value a message may quote, in characters."""

_NOTHING_FETCHED: Registry[Any] = Registry()


class UnusableSchemaError(Exception):
    """An inputSchema that cannot be validated against: the upstream's fault, never the caller's."""


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


def compile_schema(schema: Mapping[str, Any]) -> Validator:
    """A validator for `schema`, in the draft its `$schema` names, else 2020-12 (the MCP default).

    Raises:
        UnusableSchemaError: the schema is not a valid schema of its draft.
    """
    schema = dict(schema)
    dialect = validator_for(schema, default=Draft202012Validator)
    try:
        dialect.check_schema(schema)
    except SchemaError as error:
        raise UnusableSchemaError(f"{_pointer(error)}: {_brief(error.message)}") from error
    except RecursionError as error:
        raise UnusableSchemaError("the schema is nested too deeply") from error
    return dialect(schema, registry=_NOTHING_FETCHED)


def argument_problems(validator: Validator, arguments: Mapping[str, Any]) -> tuple[ArgumentProblem, ...]:
    """Every problem of `arguments`, by place.

    Raises:
        UnusableSchemaError: a `$ref` in the schema leads nowhere inside it, or loops.
    """
    try:
        errors = sorted(validator.iter_errors(arguments), key=_pointer)
    except Unresolvable as error:
        raise UnusableSchemaError(f"$ref {error.ref!r} does not resolve inside the schema") from error
    except RecursionError as error:
        raise UnusableSchemaError("the schema refers to itself without end") from error
    return tuple(problem for error in errors for problem in _problems(error))


def _problems(error: ValidationError) -> Iterator[ArgumentProblem]:
    """An error as problems that each name their place; a missing property is named by its own place."""
    if error.validator == "required":
        # jsonschema reports one error per missing property; each message starts with its name.
        for name in cast("list[str]", error.validator_value):
            if error.message.startswith(repr(name)):
                yield ArgumentProblem(
                    f"{_pointer(error)}/{_escaped(name)}", "required but missing", missing=name
                )
        return
    yield ArgumentProblem(_pointer(error), _brief(error.message))


def _pointer(error: ValidationError | SchemaError) -> str:
    return "".join(f"/{_escaped(str(part))}" for part in error.absolute_path)


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
