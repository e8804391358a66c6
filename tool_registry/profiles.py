"""Profiles: what one kind of client sees of a catalog, and under which names, descriptions and arguments.

A profile only takes away and rewrites: what it shows is still called upstream as the upstream knows it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar, cast

from tool_registry.catalog import Catalog, CatalogProblem, Entry, ToolEntry, owner_of
from tool_registry.naming import NAME_LIMIT, is_legal
from tool_registry.schema import UnusableSchemaError, argument_problems, compile_schema

E = TypeVar("E", bound=Entry)

Report = Callable[[CatalogProblem], None]

_ILLEGAL = f"clients take no more than {NAME_LIMIT} of A-Z, a-z, 0-9, _ and -"


@dataclass(frozen=True, slots=True)
class ToolOverride:
    """How a profile rewrites one tool. None leaves a part as it is."""

    name: str | None = None
    """The name clients see, in place of the qualified one."""
    description: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments that have this value and no other; clients see them as constants."""
    hidden: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments that have this value and of which clients see nothing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of client sees.

    Patterns are shell globs for `<upstream>/<name>`, where the name is the upstream's own: that of a tool or
    prompt, the URI of a resource. `*` matches any text, slashes too.
    """

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    read_only: bool = False
    """Show only tools whose annotations say `readOnlyHint: true`."""
    tools: Mapping[str, ToolOverride] = field(default_factory=dict[str, ToolOverride])
    """Rewritten tools, by `<upstream>/<name>`; exact, no patterns."""


@dataclass(frozen=True)
class View:
    """What a client sees of a catalog: its entries by the names they go by there."""

    tools: Mapping[str, ToolEntry]
    prompts: Mapping[str, Entry]
    resources: Mapping[str, Entry]
    templates: Mapping[str, Entry]
    problems: tuple[CatalogProblem, ...] = ()
    """What the profile says that does not fit the catalog."""

    def owner_of(self, uri: str) -> str | None:
        """The upstream that answers for resource `uri`: listed, matched by a template, or None."""
        return owner_of(uri, self.resources, self.templates)


def view(catalog: Catalog, profile: Profile | None = None) -> View:
    """What `profile` shows of `catalog`; without a profile, everything. Order is that of the catalog."""
    if profile is None:
        return View(catalog.tools, catalog.prompts, catalog.resources, catalog.templates)
    problems: list[CatalogProblem] = []
    tools = _shown(catalog.tools, profile)
    if profile.read_only:
        tools = {name: tool for name, tool in tools.items() if tool.annotations.get("readOnlyHint") is True}
    return View(
        _rewritten(tools.values(), profile.tools, problems.append),
        _shown(catalog.prompts, profile),
        _shown(catalog.resources, profile),
        _shown(catalog.templates, profile),
        tuple(problems),
    )


def unmatched_in(catalog: Catalog, profile: Profile, unlisted: Collection[str] = ()) -> list[str]:
    """The patterns and rewritten tools of `profile` that match nothing in `catalog`: most likely misspelt.

    Args:
        catalog: what there is.
        profile: what may be misspelt.
        unlisted: upstreams of which nothing is known; what may match something of theirs is left out.
    """
    there = places(catalog)
    tools = {_place(tool) for tool in catalog.tools.values()}
    patterns = [
        pattern
        for pattern in (*profile.allow, *profile.deny)
        if pattern != "*" and not any(fnmatchcase(place, pattern) for place in there)
    ]
    unmatched = dict.fromkeys((*patterns, *(place for place in profile.tools if place not in tools)))
    return [each for each in unmatched if not any(may_be_of(upstream, each) for upstream in unlisted)]


def places(catalog: Catalog) -> list[str]:
    """What patterns are held against: `<upstream>/<name>` of everything there is."""
    kinds = (catalog.tools, catalog.prompts, catalog.resources, catalog.templates)
    return [_place(entry) for kind in kinds for entry in kind.values()]


def may_be_of(upstream: str, pattern: str) -> bool:
    """Whether the pattern can match anything of an upstream: `*` and `[` may reach beyond the first slash."""
    head, slash, _ = pattern.partition("/")
    return not slash or "*" in head or "[" in head or fnmatchcase(upstream, head)


def _place(entry: Entry) -> str:
    return f"{entry.upstream}/{entry.name}"


def _shown(entries: Mapping[str, E], profile: Profile) -> dict[str, E]:
    def matches(entry: Entry, patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(_place(entry), pattern) for pattern in patterns)

    return {
        name: entry
        for name, entry in entries.items()
        if matches(entry, profile.allow) and not matches(entry, profile.deny)
    }


def _rewritten(
    tools: Collection[ToolEntry], overrides: Mapping[str, ToolOverride], report: Report
) -> dict[str, ToolEntry]:
    """Tools as the profile has them, by the name they go by; a name that cannot be had leaves the old one."""
    taken = {tool.qualified for tool in tools}
    named: dict[str, ToolEntry] = {}
    for tool in tools:
        seen = tool
        if override := overrides.get(_place(tool)):
            name = override.name or tool.qualified
            if name != tool.qualified and (name in taken or not is_legal(name)):
                why = (
                    "the name is taken" if name in taken else "clients take 46 of A-Z, a-z, 0-9, _ and - only"
                )
                report(CatalogProblem(tool.upstream, tool.name, f"cannot be called {name!r}: {why}"))
                name = tool.qualified
            taken.add(name)
            seen = _as_overridden(tool, override, name, report)
        named[seen.qualified] = seen
    return named


def _as_overridden(tool: ToolEntry, override: ToolOverride, name: str, report: Report) -> ToolEntry:
    definition = dict(tool.definition)
    if override.description is not None:
        definition["description"] = override.description
    preset = {**override.fixed, **override.hidden}
    if preset:
        for problem in _preset_problems(tool, preset):
            report(CatalogProblem(tool.upstream, tool.name, f"its profile's argument {problem}"))
        definition["inputSchema"] = _without_preset(tool.input_schema, override)
    return replace(tool, qualified=name, definition=definition, preset=preset)


def _preset_problems(tool: ToolEntry, preset: Mapping[str, Any]) -> Iterable[str]:
    """What is wrong with arguments that a profile gives, by the tool's own schema."""
    for name in preset.keys() - tool.parameters.keys():
        yield f"/{name}: the tool has no such parameter"
    # Alone they need not be all that is required.
    schema = {key: value for key, value in tool.input_schema.items() if key != "required"}
    try:
        yield from map(str, argument_problems(compile_schema(schema), preset))
    except UnusableSchemaError:
        return  # reported where the tool is


def _without_preset(schema: Mapping[str, Any], override: ToolOverride) -> dict[str, Any]:
    """The inputSchema in which no client need give what the profile gives, nor may give anything else."""
    declared = cast("Mapping[str, Any]", schema.get("properties") or {})
    properties = {name: known for name, known in declared.items() if name not in override.hidden}
    for name, value in override.fixed.items():
        known = properties.get(name)
        about: Mapping[str, Any] = cast("Mapping[str, Any]", known) if isinstance(known, Mapping) else {}
        properties[name] = {**about, "const": value, "default": value}
    required = [
        name
        for name in cast("list[str]", schema.get("required") or [])
        if name not in override.fixed and name not in override.hidden
    ]
    rest = {key: value for key, value in schema.items() if key != "required"}
    return {**rest, "properties": properties, **({"required": required} if required else {})}
