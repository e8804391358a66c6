"""JSON Schema for tool arguments: compile an inputSchema, and say what is wrong with arguments.

Schemas come from strangers: each is compiled alone, bounded in size and in the time it takes, and a `$ref` that
leaves it is never fetched.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema.exceptions import SchemaError, UnknownType
from jsonschema.protocols import Validator
from referencing.exceptions import Unresolvable

from tool_registry.dialect import Draft, Readable, TooLargeError, children_of, readable
from tool_registry.faults import Fault, fault_of, pointer_of
from tool_registry.keywords import (
    FULL,
    METER,
    PLAIN,
    STEP_LIMIT,
    Effort,
    Meter,
    TooManyStepsError,
    bounded_validator,
)
from tool_registry.patterns import UnusablePatternError
from tool_registry.problems import ArgumentProblem, problems_of
from tool_registry.quick import QuickCheck, quick_check

CHARACTER_LIMIT = 1 << 20
"""Longest schema that is looked at, in characters of JSON."""

FAULT_LIMIT = 64
"""How many things wrong with arguments are looked for."""

_BROKEN = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, UnknownType)
"""What jsonschema raises where a `$ref` leads to something its metaschema check has never seen."""


_BRIEF_OBJECTS, _BRIEF_VALUES = 150, 3_000
"""What a schema may consist of to be compiled in some 10 ms. 7 of 4,406 published tools have more."""


class UnusableSchemaError(Exception):
    """An inputSchema that cannot be validated against: the upstream's fault, never the caller's."""


class TooCostlyError(Exception):
    """A check that comes to no verdict with the effort it was allowed. With a `FULL` one it may."""


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema ready to check arguments with. Checks may run in several threads."""

    draft: Draft
    """What it is read as."""
    unjudged: tuple[str, ...]
    """Parts that arguments are not checked by, each with its place and why."""
    declared_names: frozenset[str]
    """Every property that it names anywhere."""
    validator: Validator
    is_surely_valid: QuickCheck | None
    """A fast test for the common case: True is a verdict, False says nothing. None where there is none."""

    def faults(self, arguments: Any, meter: Meter | None = None, limit: int = FAULT_LIMIT) -> list[Fault]:
        """What is wrong, at most `limit` faults, by place; `meter` is for checks that share their steps.

        Raises:
            UnusableSchemaError: a `$ref` leads nowhere inside the schema, or loops; or it takes too many steps.
            TooCostlyError: it takes more than the meter allows, which is less than could be.
        """
        meter = meter or Meter()
        token = METER.set(meter)
        try:
            # Ties keep the schema's order.
            errors = islice(self.validator.iter_errors(arguments), limit)
            return sorted(map(fault_of, errors), key=lambda fault: pointer_of(fault.path))
        except Unresolvable as error:
            raise UnusableSchemaError(f"$ref {error.ref!r} does not resolve inside the schema") from error
        except RecursionError as error:
            raise UnusableSchemaError(
                "the schema refers to itself without end, or the arguments are nested too deeply"
            ) from error
        except TooManyStepsError as error:
            if meter.effort != FULL:
                raise TooCostlyError from error
            raise UnusableSchemaError(
                f"checking these arguments takes more than {STEP_LIMIT:,} steps; "
                'validation = "off" in the upstream\'s table passes them on unchecked'
            ) from error
        except _BROKEN as error:
            raise UnusableSchemaError(f"a $ref leads to something that is no schema ({error})") from error
        finally:
            METER.reset(token)


def compile_schema(schema: Mapping[str, Any]) -> CompiledSchema:
    """A check for `schema`, in the draft its `$schema` names, else the newest it is valid in (2020-12 is MCP's own).

    Schemas of equal content are compiled once.

    Raises:
        UnusableSchemaError: the schema is not a valid schema of any draft, or too large.
    """
    try:
        text = json.dumps(schema, separators=(",", ":"))
    except RecursionError as error:
        raise UnusableSchemaError("the schema is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise UnusableSchemaError(f"the schema cannot be written as JSON ({error})") from error
    if len(text) > CHARACTER_LIMIT:
        raise UnusableSchemaError(f"the schema is longer than {CHARACTER_LIMIT:,} characters")
    compiled = _compiled(text)
    if isinstance(compiled, str):
        raise UnusableSchemaError(compiled)
    return compiled


def compiles_at_once(schema: Any) -> bool:
    """Whether compiling takes some 10 ms at most."""
    level, objects, values = [schema], 0, 0
    while level and objects <= _BRIEF_OBJECTS and values <= _BRIEF_VALUES:
        objects += sum(isinstance(value, Mapping) for value in level)
        values += len(level)
        level = [child for value in level for child in children_of(value)]
    return objects <= _BRIEF_OBJECTS and values <= _BRIEF_VALUES


def argument_problems(
    schema: CompiledSchema, arguments: Any, effort: Effort = FULL
) -> tuple[ArgumentProblem, ...]:
    """Every problem of `arguments`, by place; empty when they are valid.

    Raises:
        UnusableSchemaError, TooCostlyError: as `CompiledSchema.faults`.
    """
    if schema.is_surely_valid and schema.is_surely_valid(arguments):
        return ()
    return problems_of(schema.faults(arguments, Meter(effort)))


@lru_cache(maxsize=4096)
def _compiled(text: str) -> CompiledSchema | str:
    """The schema of this JSON text compiled, or why it cannot be."""
    try:
        read = readable(json.loads(text))
        draft = _draft_of(read)
        return CompiledSchema(
            draft,
            read.unjudged,
            read.declared_names,
            bounded_validator(draft, read.schema),
            quick_check(read.schema, draft),
        )
    except SchemaError as error:
        return f"{pointer_of(error.absolute_path)}: {error.message[:160]}"
    except RecursionError:
        return "the schema is nested too deeply"
    except (TooLargeError, UnusablePatternError, Unresolvable, *_BROKEN) as error:
        return str(error)


def _draft_of(read: Readable) -> Draft:
    """The first draft that the schema is valid in.

    Raises:
        SchemaError: it is valid in none; the error is that of the likeliest.
    """
    first: SchemaError | None = None
    for draft in read.drafts:
        try:
            # Formats are not looked at: "regex" would be Python's, and patterns have been tried already.
            PLAIN[draft].check_schema(read.schema, format_checker=None)
        except SchemaError as error:
            first = first or error
        else:
            return draft
    raise first or SchemaError("no draft")
