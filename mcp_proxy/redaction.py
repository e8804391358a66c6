"""Redaction: whatever looks like a credential leaves nested data and text before they are kept or logged.

Three ways to look: by the name a value goes by, by the value's own shape, and by what `hide_also` was told. It
errs towards hiding. What is hidden is the same for all of the process, as its log is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import groupby, islice, pairwise
from math import log2
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
    r"\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bgl(?:pat|rt|dt)-[\w-]{16,}|\bnpm_\w{30,}|\bpypi-[\w-]{16,}",
    r"\bxox[a-z]-[\w-]{8,}|\bxapp-[\w-]{8,}|hooks\.slack\.com/services/[\w/-]{16,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}",  # AWS, Google
    r"\b(?:hf|gsk|r8|figd|ntn|sbp|lin_api|dop_v1|shpat|shpss|whsec)_\w{16,}",  # as their makers mark them
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}|\bhvs\.[\w-]{20,}|\bdapi[0-9a-f]{32}\b|\bxai-\w{20,}",  # SendGrid, Vault, …
    r"\b\d{8,10}:AA[\w-]{30,}|\bAGE-SECRET-KEY-1[A-Z0-9]{20,}",  # Telegram, age
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
        # …?sv=…&sig=abc, a shared access signature
        r"([?&](?:sig|signature|x-amz-signature)=)[^&\s\"']+",
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
    "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glrt- gldt- npm_ pypi- xox xapp- hooks.slack akia asia aiza ya29. "
    "gocspx- hf_ gsk_ r8_ figd_ ntn_ sbp_ lin_api_ dop_v1_ shpat_ shpss_ whsec_ sg. hvs. dapi xai- :aa sig= signature="
).split()
"""Every pattern above needs one of these. Most texts hold none, and looking for these costs next to nothing."""

_SECRET_WORDS = frozenset(
    "password passwd passphrase passcode pwd secret secrets credential credentials authorization cookie cookies "
    "apikey accesskey secretkey privatekey authtoken accesstoken".split()
)
_KEY_KINDS = frozenset("api access secret private signing encryption auth".split())
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


_RANDOM = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_SHORTEST_PART = 5
_PART = re.compile(rf"\w{{{_SHORTEST_PART},}}")
"""What a planner may take a text apart into, and is long enough to be known again."""

_MOST_NAMED = 100
"""Credentials in one piece of data that are looked for in the rest of it, so that it cannot take for ever."""

_STRETCH = re.compile(r"[A-Za-z0-9+/]{16,}")
_DIGEST = re.compile(r"sha(?:1|256|384|512)-")
_LEAST_CHANGES = 0.35
_LEAST_ENTROPY = 3.4
_LEAST_NUMBERS = 2


@dataclass(frozen=True, slots=True)
class _Told:
    """What is hidden beside what looks like a credential."""

    patterns: tuple[Any, ...] = ()
    known: re.Pattern[str] | None = None


_told = _Told()


def hide_also(patterns: Iterable[str], known: Iterable[str]) -> None:
    """From now on, hide these too, in the place of what an earlier call said.

    Args:
        patterns: as `compile_pattern` takes them.
        known: credentials, wherever they stand.

    Raises:
        ValueError: a pattern is none.
    """
    global _told  # noqa: PLW0603  there is one log and one stderr for all of the process
    words = {word for word in known if word}
    _told = _Told(tuple(map(compile_pattern, patterns)), _any_of(words) if words else None)


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


def redact_beside(text: str, others: Any) -> Any:
    """`others` (JSON) redacted, and without the words that have to be hidden in `text` either.

    For what is said of a text in words of its own: there, a credential no longer stands beside what gives it away.
    Nor does one that `others` hold under a name that gives it away, where the rest of them repeats it.
    """
    left = set(_PART.findall(redact_text(text)))
    words = {part for part in _PART.findall(text[:TEXT_LIMIT]) if part not in left}
    words.update(islice(_named_secrets(others, DEPTH_LIMIT), _MOST_NAMED))
    redacted = redact(others)
    return _without(redacted, _any_of(words)) if words else redacted


def redact_text(text: str) -> str:
    """`text` with every credential in it replaced by `[redacted]`; see `redact`."""
    if len(text) > TEXT_LIMIT:
        return f"[{len(text)} characters, not kept]"
    return _RANDOM.sub(_unless_ordinary, _without_shapes(_without_told(text)))


def _without_shapes(text: str) -> str:
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


def _named_secrets(value: Any, depth: int) -> Iterator[str]:
    """The texts under names of credentials that are long enough to be told from other words, and not too long."""
    if depth == 0:
        return
    if isinstance(value, Mapping):
        for name, member in cast("Mapping[Any, Any]", value).items():
            if isinstance(member, str) and isinstance(name, str) and is_secret_name(name):
                if _SHORTEST_PART <= len(member) <= TEXT_LIMIT:
                    yield member
            else:
                yield from _named_secrets(member, depth - 1)
    elif isinstance(value, list | tuple):
        for member in cast("list[Any]", value):
            yield from _named_secrets(member, depth - 1)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))


def _without(value: Any, pattern: re.Pattern[str]) -> Any:
    """Redacted JSON, without what the pattern matches."""
    if isinstance(value, str):
        return pattern.sub(REDACTED, value)
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return {_without(name, pattern): _without(member, pattern) for name, member in members}
    if isinstance(value, list):
        return [_without(item, pattern) for item in cast("list[Any]", value)]
    return value


def _without_told(text: str) -> str:
    if _told.known:
        text = _told.known.sub(REDACTED, text)
    for pattern in _told.patterns:
        text = pattern.sub(REDACTED, text)
    return text


def _unless_ordinary(match: re.Match[str]) -> str:
    return REDACTED if is_random(match[0]) else match[0]


def is_random(word: str) -> bool:
    """Whether a word looks drawn by lot, as keys are: letters of both cases and numbers in no order.

    Hexadecimal is not looked at: most of it is digests and ids. tests/journal measures what it takes for random.
    """
    return not _DIGEST.match(word) and any(map(_is_random_stretch, _STRETCH.findall(word)))


def _is_random_stretch(stretch: str) -> bool:
    kinds = [kind for kind, _ in groupby(stretch, _kind)]
    length = len(stretch)
    entropy = -sum(n / length * log2(n / length) for n in Counter(stretch).values())
    return (
        {"upper", "lower"} <= set(kinds)
        and kinds.count("digit") >= _LEAST_NUMBERS
        and len(kinds) / length >= _LEAST_CHANGES
        and entropy >= _LEAST_ENTROPY
    )


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    return "upper" if character.isupper() else "lower" if character.islower() else "sign"


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
