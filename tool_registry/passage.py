"""The text that stands for a tool where meanings are compared. Knows no vectors."""

import re
from collections.abc import Iterator
from itertools import islice

from tool_registry.catalog import ToolEntry
from tool_registry.words import spelled

_DESCRIPTION, _PARAMETER = 300, 60
"""Characters that are taken of a tool's description and of a parameter's: what it is for stands at the beginning."""
_PARAMETERS = 16
"""Parameters that are told."""
_FIRST_SENTENCE = re.compile(r".+?(?=[.!?](?:\s|$)|\n|$)", re.DOTALL)


def passage(tool: ToolEntry) -> str:
    """The text that stands for a tool's meaning: its name in words, what it does, and what it takes."""
    text = f"{spelled(tool.name)}: {_beginning(tool.description, _DESCRIPTION)}"
    parameters = "; ".join(islice(_parameters(tool), _PARAMETERS))
    return f"{text} ({parameters})" if parameters else text


def _parameters(tool: ToolEntry) -> Iterator[str]:
    for name, schema in tool.parameters.items():
        about = _FIRST_SENTENCE.match(_beginning(str(schema.get("description", "")), _PARAMETER))
        yield f"{_beginning(spelled(name), _PARAMETER)} {about.group() if about else ''}".rstrip()


def _beginning(text: str, length: int) -> str:
    """The first characters of `text`, with single spaces."""
    return " ".join(text[: 4 * length].split())[:length]
