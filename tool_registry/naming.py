"""Qualified names: how a tool of one upstream is called among the tools of all.

A name is `<prefix>__<tool>`, unique and stable. It is reversed by looking it up in the catalog,
never by splitting it: tools may contain `__` themselves.
"""

import hashlib
import re

SEPARATOR = "__"

NAME_LIMIT = 46
"""Longest qualified name, in characters.

The Claude API allows 64 of `[A-Za-z0-9_-]`, of which Claude Code spends 18 on `mcp__switchboard__`;
Cursor allows 60 for server and tool together, of which `switchboard` takes 11.
"""

_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]+")
_DIGEST_LENGTH = 6


def qualify(prefix: str, name: str, limit: int = NAME_LIMIT) -> str:
    """The qualified name of tool `name` under `prefix`; an empty prefix leaves it bare.

    A name that is too long or holds characters some client rejects is altered, and then ends in
    `_` and six hexadecimal digits of its SHA-256, so that two altered names do not meet.
    """
    plain = f"{prefix}{SEPARATOR}{name}" if prefix else name
    return plain if is_legal(plain, limit) else distinguish(_ILLEGAL.sub("_", plain), seed=plain, limit=limit)


def is_legal(name: str, limit: int = NAME_LIMIT) -> bool:
    """Whether every client takes `name` as it is."""
    return 0 < len(name) <= limit and not _ILLEGAL.search(name)


def distinguish(name: str, seed: str, limit: int = NAME_LIMIT) -> str:
    """`name` with a suffix derived from `seed`, cut to `limit` characters in all."""
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: limit - _DIGEST_LENGTH - 1]}_{digest}"


def prefix_of(upstream: str) -> str:
    """The default prefix of an upstream: its configured name, made legal."""
    return _ILLEGAL.sub("_", upstream).strip("_") or "upstream"


def may_have(prefix: str, qualified: str) -> bool:
    """Whether an upstream with this prefix may have a tool of this qualified name, as far as the name tells."""
    return not prefix or qualified.startswith(f"{prefix}{SEPARATOR}")
