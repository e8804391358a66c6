"""Names that could be taken for others: letters of other alphabets, digits for letters, a slip of the pen."""

import unicodedata
from collections.abc import Collection

_SHORTEST = 6
"""Characters a name needs for a slip of the pen to tell anything."""

_LATIN = str.maketrans(
    dict(
        zip(
            "аеорсухіјѕԁԛԝһӏкαοορνιτυκａ",
            "aeopcyxijsdqwhlkaoopvituka",
            strict=True,
        )
    )
)
"""Letters of other alphabets that look like Latin ones (the lower-case letters of Unicode's confusables that names use)."""

_ASCII = (("rn", "m"), ("vv", "w"), ("1", "l"), ("i", "l"), ("0", "o"), ("5", "s"))


def poses_as_ascii(name: str) -> bool:
    """Whether a name holds characters of other alphabets, or forms of letters, made to look like ASCII ones."""
    return any(
        not char.isascii() and unicodedata.normalize("NFKC", char).translate(_LATIN).isascii()
        for char in name.lower()
    )


def imitated(name: str, others: Collection[str]) -> str:
    """Which of `others` the name could be taken for; empty when there is none.

    The same name is no imitation, nor is one in another convention (`read-file`, `readFile`), or a plural.
    """
    if name in others:
        return ""
    shape = _shape(name)
    for other in others:
        if _plain(other) == _plain(name):
            continue
        if _shape(other) == shape or _is_slip(_plain(name), _plain(other)):
            return other
    return ""


def _plain(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFC", name).lower() if char.isalnum())


def _folded(text: str) -> str:
    """Without accents, compatibility forms and foreign alphabets."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).lower().translate(_LATIN)


def _shape(name: str) -> str:
    shape = _plain(_folded(name))
    for written, looks in _ASCII:
        shape = shape.replace(written, looks)
    return shape


def _is_slip(name: str, other: str) -> bool:
    """Whether two neighbouring letters are swapped, or one of a pair is missing or doubled."""
    if min(len(name), len(other)) < _SHORTEST or abs(len(name) - len(other)) > 1:
        return False
    place = next((i for i, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), -1)
    if place < 0:
        return False
    if len(name) == len(other):
        swapped = other[:place] + other[place : place + 2][::-1] + other[place + 2 :]
        return name == swapped
    longer, shorter = sorted((name, other), key=len, reverse=True)
    return longer[place] in longer[place - 1 : place] and longer[:place] + longer[place + 1 :] == shorter
