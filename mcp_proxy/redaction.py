"""Redaction: whatever looks like a credential leaves nested data and text before they are kept or logged. Pure.

Two ways to look: by the name a value goes by, and by the value's own shape. It errs towards hiding.
"""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any, cast

REDACTED = "[redacted]"

TEXT_LIMIT = 32_768
"""Longest text that is looked through, in characters; a longer one is replaced by a note of its length."""

DEPTH_LIMIT = 64
"""How many levels of nesting are looked through; what lies deeper is replaced."""

_PASSES = 4

_SHAPES = (
    # A key that was cut off has no END line: everything up to the end of the text goes.
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    r"\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*",  # JWT
    r"\bsk-[\w-]{12,}|\b[rs]k_(?:live|test)_\w{12,}",  # Anthropic, OpenAI, Stripe
    r"\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bnpm_\w{30,}",
    r"\bxox[a-z]-[\w-]{8,}|\bxapp-[\w-]{8,}",  # Slack
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}",  # AWS, Google
)
_TOKEN = re.compile("|".join(_SHAPES))
"""A credential known by its own shape: replaced whole."""

_NAME = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|authorization"
    r"|(?:api|access|secret|private|signing|encryption|auth)[_ -]?key)"
)
_QUOTE = r"""\\{0,4}["']"""  # escaped in JSON within JSON
_IS = rf"(?:{_QUOTE})?\s{{0,3}}[:=]\s{{0,3}}"

_AFTER = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        # https://user:password@host. The match starts at `://`: any scheme before it would cost quadratic time.
        r"(://[^\s/:@]{0,128}:)[^\s/]{1,256}(?=@)",
        # Bearer abc123
        r"\b((?:bearer|basic)\s{1,3})(?=\S{0,512}[\d=])[\w.~+/=-]{8,}",
        # A Cookie header holds several values: all of its line.
        rf"(cookie{_IS}(?:{_QUOTE})?)[^\r\n\"']+",
        # "password": "a b c"
        rf"({_NAME}{_IS}(?P<quote>{_QUOTE})).*?(?=(?<!\\)(?P=quote)|$)",
        # password=abc, Authorization: Basic abc
        rf"({_NAME}{_IS})(?!{_QUOTE})(?:(?:bearer|basic|token|digest)\s{{1,3}})?[^\s\"'&,;]+",
        # --db-password abc
        rf"(--?(?:[\w-]{{1,48}}[_-])?{_NAME}\s{{1,3}})[^\s-]\S*",
        # the password is abc
        r"(pass(?:word|phrase|code)\s{1,3}(?:is|to)\s{1,3})(?!(?:an?|be|my|not|set|the|your)\b)[^\s,;]+",
        # with token abc123: in a sentence only digits among letters look like a value.
        (
            rf"({_NAME}\s{{1,3}}(?:is\s{{1,3}}|to\s{{1,3}})?)"
            r"(?=\S{6})(?=[^\s\d]{0,64}\d)(?=[^\sa-z]{0,64}[a-z])[^\s,;]+"
        ),
    )
)
"""Credentials known by what stands before them, which is kept as group 1."""

_HINTS = (
    "pass pwd secret token credential authorization key cookie bearer basic :// -----begin eyj sk- sk_ rk_ "
    "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- npm_ xox xapp- akia asia aiza"
).split()
"""Every pattern above needs one of these. Most texts hold none, and looking for these costs next to nothing."""

_SECRET_WORDS = frozenset(
    "password passwd passphrase passcode pwd secret secrets credential credentials authorization cookie cookies "
    "apikey accesskey secretkey privatekey authtoken accesstoken".split()
)
_KEY_KINDS = frozenset("api access secret private signing encryption auth".split())
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def compile_pattern(pattern: str) -> Any:
    """A pattern of RE2: it takes time linear in the text, whatever it is, which Python's own do not.

    Raises:
        ValueError: it is no such pattern, or it matches nothing at all.
    """
    re2: Any = import_module("re2")  # here, because few configure patterns; it comes without types
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    if compiled.search(""):
        raise ValueError("it matches an empty text, and so everything")
    return compiled


def redact(value: Any) -> Any:
    """`value` (JSON) with everything that looks like a credential replaced by `[redacted]`.

    Idempotent. Never raises: what is not JSON (an exception, a path) is passed through as it is.
    Strings over `TEXT_LIMIT` and levels over `DEPTH_LIMIT` are replaced by a note.
    """
    return _redact(value, DEPTH_LIMIT)


def redact_text(text: str) -> str:
    """`text` with every credential in it replaced by `[redacted]`; see `redact`."""
    if len(text) > TEXT_LIMIT:
        return f"[{len(text)} characters, not kept]"
    folded = text.casefold()
    if not any(hint in folded for hint in _HINTS):
        return text
    # One replacement may uncover another match, so passes run until nothing changes.
    redacted = text
    for _ in range(_PASSES):
        before = redacted
        redacted = _TOKEN.sub(REDACTED, redacted)
        for pattern in _AFTER:
            redacted = pattern.sub(rf"\1{REDACTED}", redacted)
        if redacted == before and len(redacted) <= TEXT_LIMIT:
            return redacted
    return REDACTED


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`redact` as a structlog processor. Its place is after the one that renders exceptions to text."""
    return cast("MutableMapping[str, Any]", redact(event))


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a credential: `api_key`, `authToken`, `X-Api-Key`, `Set-Cookie`.

    `token` counts as the last word only: `max_tokens` and `token_count` are numbers like any other.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    keyed = any(word in _KEY_KINDS and after == "key" for word, after in pairwise(words))
    return keyed or words[-1] in {"token", "auth"} or not _SECRET_WORDS.isdisjoint(words)


def _redact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth == 0:
        return "[nested too deeply, not kept]"
    if isinstance(value, Mapping):
        return _redact_object(cast("Mapping[Any, Any]", value), depth - 1)
    return [_redact(item, depth - 1) for item in cast("list[Any]", value)]


def _redact_object(members: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
    """An object's members; `{"name": "Authorization", "value": …}`, as headers are often listed, counts too."""
    named = members.get("name", members.get("key"))
    redacted: dict[Any, Any] = {}
    for name, value in members.items():
        name = redact_text(name) if isinstance(name, str) else name  # noqa: PLW2901
        secret = isinstance(name, str) and is_secret_name(name)
        if name == "value" and isinstance(named, str):
            secret = secret or is_secret_name(redact_text(named))
        redacted[name] = _hidden(value) if secret else _redact(value, depth)
    return redacted


def _hidden(value: Any) -> Any:
    """A secret's place; what holds no secret (nothing, yes or no) stays."""
    return value if value is None or isinstance(value, bool) or value in ("", [], {}) else REDACTED
