"""The catalog: what every upstream offers, as one immutable value.

A `Catalog` is built from one `Offer` per upstream; changing an upstream makes a new catalog.
It knows nothing of connections: an offer is whatever the upstream last listed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar, cast

from tool_registry.keywords import BRIEF, FULL, Effort
from tool_registry.naming import distinguish, qualify
from tool_registry.problems import ArgumentProblem
from tool_registry.repair import Checked, check
from tool_registry.schema import (
    CompiledSchema,
    TooCostlyError,
    argument_problems,
    compile_schema,
    compiles_at_once,
)

E = TypeVar("E", bound="Entry")

Definition = Mapping[str, Any]
"""A Tool, Prompt, Resource or ResourceTemplate object exactly as the upstream listed it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one upstream listed, in its own order and under its own names."""

    upstream: str
    prefix: str
    tools: tuple[Definition, ...] = ()
    prompts: tuple[Definition, ...] = ()
    resources: tuple[Definition, ...] = ()
    templates: tuple[Definition, ...] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict[str, str])
    """The tools that may not be called, by their own names: what a caller is told."""


@dataclass(frozen=True)
class Entry:
    """One listed thing: whose it is, its name there, its name here, and the definition."""

    upstream: str
    name: str
    """The upstream's own name (for a resource, its URI; for a template, its URI template)."""
    qualified: str
    """The name clients see."""
    definition: Definition

    @property
    def title(self) -> str:
        return str(self.definition.get("title") or "")

    @property
    def description(self) -> str:
        return str(self.definition.get("description") or "")

    def listed(self, key: str = "name") -> dict[str, Any]:
        """The definition as clients see it: unchanged but for its name under `key`."""
        return {**self.definition, key: self.qualified}


@dataclass(frozen=True)
class ToolEntry(Entry):
    """A tool: an `Entry` with schemas and annotations."""

    preset: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments that the configuration gives: a client need not, and may not give others."""
    quarantine: str = ""
    """Why it may not be called, and what to do about it; empty for a tool that may."""

    def listed(self, key: str = "name") -> dict[str, Any]:
        """As for any entry; of a quarantined tool clients see why it is, and nothing of its definition."""
        if not self.quarantine:
            return Entry.listed(self, key)
        return {key: self.qualified, "description": self.quarantine, "inputSchema": {"type": "object"}}

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return _object(self.definition.get("inputSchema"))

    @property
    def annotations(self) -> Mapping[str, Any]:
        return _object(self.definition.get("annotations"))

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The top-level properties of the inputSchema; a boolean schema reads as an empty one."""
        properties = _object(self.input_schema.get("properties"))
        return {name: _object(schema) for name, schema in properties.items()}

    @property
    def required(self) -> tuple[str, ...]:
        names = self.input_schema.get("required")
        return (
            tuple(name for name in cast("list[object]", names) if isinstance(name, str))
            if isinstance(names, list)
            else ()
        )

    @cached_property
    def compiled(self) -> CompiledSchema:
        """The compiled inputSchema; compiled on first use.

        Raises:
            UnusableSchemaError: the upstream's schema is itself invalid.
        """
        return compile_schema(self.input_schema)

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """What the tool promises its `structuredContent` to be; None when it promises nothing."""
        schema = self.definition.get("outputSchema")
        return _object(cast("object", schema)) if isinstance(schema, Mapping) else None

    @cached_property
    def _output_validator(self) -> CompiledSchema:
        return compile_schema(self.output_schema or {})

    def output_problems(self, structured: Any, effort: Effort = FULL) -> tuple[ArgumentProblem, ...]:
        """What is wrong with a `structuredContent` by the outputSchema; empty when it is valid, or nothing is promised.

        Raises:
            UnusableSchemaError: the upstream's schema is itself invalid.
            TooCostlyError: it cannot be said with this effort.
        """
        if effort != FULL and "_output_validator" not in self.__dict__ and not self._output_compiles_at_once:
            raise TooCostlyError
        return argument_problems(self._output_validator, structured, effort)

    @cached_property
    def _output_compiles_at_once(self) -> bool:
        return compiles_at_once(self.output_schema)

    def check(self, arguments: Mapping[str, Any]) -> tuple[ArgumentProblem, ...]:
        """What is wrong with `arguments` by the inputSchema; empty when they are valid.

        Raises:
            UnusableSchemaError: the upstream's schema is itself invalid.
        """
        return argument_problems(self.compiled, arguments)

    def checked(self, arguments: Mapping[str, Any], *, repair: bool = True) -> Checked:
        """`arguments` checked by the inputSchema, and repaired as far as that loses nothing; see `repair.check`.

        Raises:
            UnusableSchemaError: the upstream's schema is itself invalid.
        """
        return check(self.compiled, arguments, repair=repair)

    def checked_at_once(self, arguments: Mapping[str, Any], *, repair: bool = True) -> Checked | None:
        """As `checked`; None, after some 10 ms at most, where that takes longer and is better done in a thread.

        Raises:
            UnusableSchemaError: the upstream's schema is itself invalid.
        """
        if "compiled" not in self.__dict__ and not self._compiles_at_once:
            return None
        try:
            return check(self.compiled, arguments, repair=repair, effort=BRIEF)
        except TooCostlyError:
            return None

    @cached_property
    def _compiles_at_once(self) -> bool:
        return compiles_at_once(self.input_schema)

    def completed(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """`arguments` with those that the configuration gives."""
        return {**arguments, **self.preset} if self.preset else arguments


@dataclass(frozen=True, slots=True)
class CatalogProblem:
    """Something listed that could not be taken as it stood, and what became of it."""

    upstream: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.upstream}: {self.name}: {self.message}"


@dataclass(frozen=True)
class Catalog:
    """All offers and the names they go by. Order: upstreams as configured, then as each listed."""

    offers: tuple[Offer, ...] = ()
    tools: Mapping[str, ToolEntry] = field(init=False)
    prompts: Mapping[str, Entry] = field(init=False)
    resources: Mapping[str, Entry] = field(init=False)
    templates: Mapping[str, Entry] = field(init=False)
    problems: tuple[CatalogProblem, ...] = field(init=False)

    def __post_init__(self) -> None:
        problems: list[CatalogProblem] = []
        named = {
            "tools": _quarantined(
                _by_qualified_name(_listed(self.offers, "tools", "name", ToolEntry, problems)), self.offers
            ),
            "prompts": _by_qualified_name(_listed(self.offers, "prompts", "name", Entry, problems)),
            "resources": _by_uri(_listed(self.offers, "resources", "uri", Entry, problems), problems),
            "templates": _by_uri(_listed(self.offers, "templates", "uriTemplate", Entry, problems), problems),
        }
        for kind, entries in named.items():
            object.__setattr__(self, kind, MappingProxyType(entries))
        object.__setattr__(self, "problems", tuple(problems))

    def with_offer(self, offer: Offer) -> "Catalog":
        """A catalog in which `offer` stands for its upstream: in place if known, else at the end."""
        if any(known.upstream == offer.upstream for known in self.offers):
            return Catalog(tuple(offer if o.upstream == offer.upstream else o for o in self.offers))
        return Catalog((*self.offers, offer))

    def owner_of(self, uri: str) -> str | None:
        """The upstream that answers for resource `uri`: listed, matched by a template, or None."""
        return owner_of(uri, self.resources, self.templates)


def owner_of(uri: str, resources: Mapping[str, Entry], templates: Mapping[str, Entry]) -> str | None:
    """The upstream that answers for resource `uri`: listed, matched by a template, or None."""
    if entry := resources.get(uri):
        return entry.upstream
    for template in templates.values():
        if _template_pattern(template.name).fullmatch(uri):
            return template.upstream
    return None


def _listed(
    offers: Iterable[Offer], kind: str, key: str, make: type[E], problems: list[CatalogProblem]
) -> Iterator[tuple[Offer, E]]:
    """Every well-formed definition of a kind; the first of each name within an upstream counts."""
    for offer in offers:
        seen: set[str] = set()
        for definition in getattr(offer, kind):
            name = definition.get(key)
            if not isinstance(name, str) or not name:
                problems.append(
                    CatalogProblem(offer.upstream, kind, f"an entry without {key!r} was left out")
                )
            elif name in seen:
                problems.append(
                    CatalogProblem(offer.upstream, name, f"listed twice in {kind}; the first counts")
                )
            else:
                seen.add(name)
                qualified = qualify(offer.prefix, name) if key == "name" else name
                yield offer, make(offer.upstream, name, qualified, definition)


def _by_qualified_name(entries: Iterable[tuple[Offer, E]]) -> dict[str, E]:
    """Entries by qualified name; where two upstreams would meet, the later one is told apart."""
    named: dict[str, E] = {}
    for offer, entry in entries:
        qualified = entry.qualified
        if qualified in named:
            qualified = distinguish(qualified, seed=f"{offer.upstream}\n{entry.name}")
            entry = type(entry)(entry.upstream, entry.name, qualified, entry.definition)  # noqa: PLW2901
        named[qualified] = entry
    return named


def _quarantined(tools: dict[str, ToolEntry], offers: Iterable[Offer]) -> dict[str, ToolEntry]:
    """The tools, with those marked that their offers have in quarantine."""
    for offer in offers:
        if offer.quarantined:
            for qualified, tool in tools.items():
                if tool.upstream == offer.upstream and (reason := offer.quarantined.get(tool.name)):
                    tools[qualified] = replace(tool, quarantine=reason)
    return tools


def _by_uri(entries: Iterable[tuple[Offer, E]], problems: list[CatalogProblem]) -> dict[str, E]:
    """Entries by URI. URIs are not rewritten: the first upstream to list one answers for it."""
    named: dict[str, E] = {}
    for _, entry in entries:
        if (first := named.setdefault(entry.name, entry)) is not entry:
            text = f"also listed by {first.upstream}, which answers for it"
            problems.append(CatalogProblem(entry.upstream, entry.name, text))
    return named


def _template_pattern(template: str) -> re.Pattern[str]:
    """A pattern for URI templates (RFC 6570), loose: each expression matches anything."""
    parts = re.split(r"\{[^{}]*\}", template)
    return re.compile(".*".join(re.escape(part) for part in parts), re.DOTALL)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
