"""Which of an upstream's tools are there at all: by patterns on its own names for them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from tool_registry.catalog import Definition, Offer


def is_visible(name: str, allow: Iterable[str], deny: Iterable[str]) -> bool:
    """Whether the tool `name` matches a pattern of `allow` and none of `deny`.

    Patterns are shell globs (`*`, `?`, `[a-z]`) for the whole name; upper and lower case differ.
    """
    return any(fnmatchcase(name, pattern) for pattern in allow) and not any(
        fnmatchcase(name, pattern) for pattern in deny
    )


def visible(offer: Offer, allow: Sequence[str], deny: Sequence[str]) -> Offer:
    """The offer with only its visible tools; what has no name is left for the catalog to complain of."""
    tools = (tool for tool in offer.tools if _nameless(tool) or is_visible(tool["name"], allow, deny))
    return replace(offer, tools=tuple(tools))


def unmatched(offer: Offer, patterns: Iterable[str]) -> list[str]:
    """The patterns that match none of the offer's tools: most likely misspelt."""
    names = names_of(offer)
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def names_of(offer: Offer) -> list[str]:
    """The names of the offer's tools."""
    return [tool["name"] for tool in offer.tools if not _nameless(tool)]


def _nameless(tool: Definition) -> bool:
    return not isinstance(tool.get("name"), str)
