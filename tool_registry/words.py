"""Text as searchable words. Knows nothing of tools."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from typing import Any, cast

import Stemmer

_STEMMER = cast("Any", Stemmer).Stemmer("english")
_LATIN = [chr(code) for code in (*range(0x80), *range(0xC0, 0x250), *range(0x1E00, 0x1F00))]
_UPPER = "".join(letter for letter in _LATIN if letter.isupper())
_LOWER = "".join(letter for letter in _LATIN if letter.islower())
_ASCII_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_WORD = re.compile(rf"[{_UPPER}]+(?![{_LOWER}])|[{_UPPER}]?[{_LOWER}]+|\d+|[^\W\d_{_UPPER}{_LOWER}]+")
_STOP_WORDS = frozenset(
    "a an and any are as at be by can do for from have i in is it its me my of on or please so some that the "
    "their them then there these this those to us want was we what which will with would you your".split()
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{3,}")
"""Kana and Han, which are written without spaces between words."""


def words(text: str) -> tuple[str, ...]:
    """The searchable words of `text`: camelCase and snake_case split, lower case, stemmed, no stop words."""
    found = (word.lower() for word in _split(text))
    return tuple(_stem(word) for word in found if word not in _STOP_WORDS)


def terms(text: str) -> tuple[str, ...]:
    """The words of `text`, where a run of Kana or Han counts as every two neighbours in it: its words, roughly."""
    return tuple(part for word in words(text) for part in _parts(word))


def spelled(name: str) -> str:
    """A name as a person would write it: `createHTTP_server2` is "create http server 2"."""
    return " ".join(word.lower() for word in _split(name))


def _split(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text)  # the same, twice as fast
    # An accent may be a character of its own, which no word would have.
    return _WORD.findall(unicodedata.normalize("NFC", text))


class Vocabulary:
    """Numbers for words, from 0 on. It only ever grows, so that what was read with it stays comparable."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._growing = Lock()

    def __len__(self) -> int:
        return len(self._numbers)

    def learn(self, found: Iterable[str]) -> list[int]:
        """The number of each word; a new word gets the next one."""
        with self._growing:
            return [self._numbers.setdefault(word, len(self._numbers)) for word in found]

    def known(self, found: Iterable[str]) -> list[int]:
        """The numbers of those words that have one."""
        return [self._numbers[word] for word in found if word in self._numbers]


def _parts(word: str) -> list[str]:
    if word.isascii() or not _UNSPACED.fullmatch(word):
        return [word]
    return [word[place : place + 2] for place in range(len(word) - 1)]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))
