"""The tool `read_result`, which reads on in a result that was cut: its definition, and reading its arguments."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tool_registry.reading import Passage

_WAYS = ("line", "pointer", "search")


class ReadRequest(BaseModel):
    """A call of `read_result`, read: by line, pointer or search if one of them is given, else by offset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    handle: str = Field(description="Which result: the handle that the cut result named.")
    offset: int = Field(
        default=0,
        ge=0,
        description="Where to begin: byte of the text; with pointer, item, member or character there; with search, "
        "how many matches to skip.",
    )
    limit: int | None = Field(default=None, ge=1, description="How many of those at most.")
    line: int | None = Field(default=None, ge=1, description="First line to read; lines count from 1.")
    lines: int | None = Field(default=None, ge=1, description="How many lines at most.")
    pointer: str | None = Field(
        default=None,
        max_length=4000,
        description='JSON Pointer of a part of a JSON result, such as "/items/0"; "" for an overview of all.',
    )
    search: str | None = Field(
        default=None, min_length=1, max_length=1000, description="Text to find, in any case; not a pattern."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "ReadRequest":
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if len(given) > 1:
            raise PydanticCustomError("ways", "give only one of {given}", {"given": " and ".join(given)})
        if self.lines is not None and self.line is None:
            raise PydanticCustomError("ways", "lines counts from a line: give that too, 1 for the first")
        if self.line is not None and (self.offset or self.limit is not None):
            raise PydanticCustomError(
                "ways", "with line, lines says how many; offset and limit go with the other ways"
            )
        return self


def read_arguments(arguments: Mapping[str, Any]) -> ReadRequest | str:
    """The request behind a call of `read_result`, or what is wrong with its arguments."""
    try:
        return ReadRequest.model_validate(arguments)
    except ValidationError as error:
        problems = "\n".join(f"- /{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return f"The arguments of `read_result` are not valid; nothing was read.\n{problems}"


def passage_result(passage: Passage, handle: str, tool: str) -> dict[str, Any]:
    """A passage as a CallToolResult: its text, and where it stands and goes on."""
    note = f"[switchboard] {passage.shown}"
    if passage.onward:
        arguments = json.dumps({"handle": handle, **passage.onward}, ensure_ascii=False)
        note += f"; to read on, call {tool} with {arguments}"
    return {"content": [{"type": "text", "text": passage.text}, {"type": "text", "text": f"{note}."}]}


def _definition() -> dict[str, Any]:
    schema = ReadRequest.model_json_schema()
    for parameter in schema["properties"].values():
        parameter.pop("title", None)
        if choices := parameter.pop("anyOf", None):
            # Left out or given; null is nothing a client should think of.
            parameter.update(choices[0])
            parameter.pop("default")
    del schema["title"], schema["description"]
    title = "Read a long result"
    return {
        "name": "read_result",
        "title": title,
        "description": "Reads on in a result that was too long and was cut: by byte offset, by line, by JSON Pointer, "
        "or by searching for text. The cut result says its handle and where to go on.",
        "inputSchema": schema,
        "annotations": {
            "title": title,
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }


READ_RESULT = _definition()
