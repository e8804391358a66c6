"""The scan: what in a tool's definition looks like an attack on the model that reads it.

A table of rules over every text in the definition; it marks, and decides nothing. Rules know English well and
a few other languages hardly at all: what it does not mark is not thereby harmless.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from tool_registry.catalog import Definition, Offer
from tool_registry.lookalike import imitated, poses_as_ascii
from tool_registry.pins import pinned_part
from tool_registry.scan_rules import RULES
from tool_registry.unseen import spelled_out, unseen

_EXCERPT = 120
_DEEPEST = 100
_LONGEST = 50_000
"""Characters of one definition that are looked through: several times what the longest real one has."""

_MARKUP = re.compile(
    r"<!--|\[//\]: ?#|display: ?none|visibility: ?hidden|font-size: ?0|<\w+ [^>]{0,200}\bhidden\b",
    re.IGNORECASE,
)
_FAR_AWAY = re.compile(r"[^\S\n]{40}|(?:[^\S\n]*\n){12}")
"""Blanks or empty lines enough to push what follows out of a reader's sight."""

_BASE64 = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{24,}={0,2}(?![\w+/])")
_SPACED = re.compile(r"\b(?:\w ){4,}\w\b")
_DIGITS_FOR_LETTERS = str.maketrans("013457", "oieast")


class Kind(StrEnum):
    """What a text seems to be trying."""

    INSTRUCTS = "instructs"
    """Gives the model orders that have nothing to do with calling this tool."""
    HIDES = "hides"
    """Holds what a reader does not get to see."""
    STEERS = "steers"
    """Says how other servers' tools are to be used, or that they are not."""
    EXFILTRATES = "exfiltrates"
    """Asks for files, credentials or conversations, or has data sent somewhere."""
    IMITATES = "imitates"
    """Has a name that could be taken for another tool's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious place."""

    kind: Kind
    pointer: str
    """JSON Pointer (RFC 6901) into the definition."""
    excerpt: str
    """The words in question on one line, everything unseen spelled out."""

    def __str__(self) -> str:
        return f"{self.kind} at {self.pointer}: {self.excerpt}"


def scan(tool: Definition, others: Collection[str] = ()) -> tuple[Finding, ...]:
    """Everything suspicious in what a model reads of `tool`, by place.

    Args:
        tool: the definition as it was listed.
        others: the names of tools that only other servers have, and this one should have nothing to say about.
    """
    found: list[Finding] = []
    left = _LONGEST
    for pointer, text in _texts(pinned_part(tool), "", _DEEPEST):
        if len(text) > left:
            found.append(Finding(Kind.HIDES, pointer, f"more than {_LONGEST:,} characters of text in all"))
            break
        left -= len(text)
        found += _in_text(pointer, text, others)
    name = tool.get("name")
    if isinstance(name, str):
        if poses_as_ascii(name):
            found.append(Finding(Kind.IMITATES, "/name", _excerpt(name.encode("unicode_escape").decode(), 0)))
        elif other := imitated(name, others):
            found.append(Finding(Kind.IMITATES, "/name", f"{spelled_out(name)} for {spelled_out(other)}"))
    return tuple(dict.fromkeys(found))


def names_beside(upstream: str, offers: Iterable[Offer]) -> frozenset[str]:
    """The names of the tools that other upstreams offer and this one does not."""
    named = [
        (offer.upstream, name)
        for offer in offers
        for tool in offer.tools
        if isinstance(name := tool.get("name"), str)
    ]
    own = {name for owner, name in named if owner == upstream}
    return frozenset(name for _, name in named if name not in own)


def _texts(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value with its place; names of members are texts too, as a model reads them."""
    if not depth:
        return
    match value:
        case str():
            yield pointer, value
        case Mapping():
            for name, inner in cast("Mapping[str, Any]", value).items():
                place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
                if "_" in name or " " in name or not name.isascii():
                    yield place, name
                yield from _texts(inner, place, depth - 1)
        case list() | tuple():
            for number, inner in enumerate(cast("Sequence[Any]", value)):
                yield from _texts(inner, f"{pointer}/{number}", depth - 1)
        case _:
            return


def _in_text(pointer: str, text: str, others: Collection[str]) -> Iterator[Finding]:
    for kind, excerpt in _hidden(text):
        yield Finding(kind, pointer, excerpt)
    for reading in _readings(text):
        for kind, rule in RULES:
            if match := rule.search(reading):
                yield Finding(Kind(kind), pointer, _excerpt(reading, match.start()))
    if pointer != "/name":
        for word in re.findall(r"[\w-]{6,}", text):
            if word.rpartition("__")[2] in others and re.search(r"[a-z0-9][_-][a-z0-9]|[a-z][A-Z]", word):
                yield Finding(Kind.STEERS, pointer, _excerpt(text, text.index(word)))
                break


def _hidden(text: str) -> Iterator[tuple[Kind, str]]:
    if places := unseen(text):
        yield Kind.HIDES, _excerpt(text, places[0][0])
    for pattern in (_MARKUP, _FAR_AWAY):
        if match := pattern.search(text):
            yield Kind.HIDES, _excerpt(text, match.start())


def _readings(text: str) -> Iterator[str]:
    """The text as the rules read it, and whatever else a model could make of it."""
    seen = "".join(char for char in text if not unicodedata.category(char).startswith(("Cf", "Mn")))
    plain = " ".join(
        re.sub(r"[_*`\"“”]+", " ", unicodedata.normalize("NFKC", seen).replace("’", "'")).lower().split()
    )
    yield plain
    if spaced := _SPACED.search(plain):
        yield spaced.string.replace(" ", "")
    if re.search(r"[a-z][0134578][a-z]", plain):
        yield plain.translate(_DIGITS_FOR_LETTERS)
    for match in _BASE64.finditer(text):
        if decoded := _decoded(match[0]):
            yield decoded


def _decoded(word: str) -> str:
    """The text in base64 that a word is; empty if it is none."""
    try:
        text = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return text.lower() if text.isprintable() else ""


def _excerpt(text: str, place: int) -> str:
    begin = max(0, place - 20)
    return spelled_out(text[begin : begin + _EXCERPT])
