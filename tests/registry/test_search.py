"""Search: the tools a task may mean, best first."""

from typing import Any

import pytest

from tool_registry import Catalog, Offer, ToolIndex
from tool_registry.search import words


def tool(name: str, description: str = "", **parameters: str) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties},
    }


CATALOG = Catalog(
    (
        Offer(
            "notes",
            "notes",
            (tool("addNote", "Write a note", title="Its title"), tool("search_notes", "Find notes")),
        ),
        Offer(
            "clock", "clock", (tool("convert_units", "Convert a value", from_unit="Unit", to_unit="Unit"),)
        ),
    )
)
INDEX = ToolIndex(CATALOG.tools.values())


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("add a note", "notes__addNote"),
        ("searching my notes", "notes__search_notes"),
        ("converting some unit", "clock__convert_units"),
        ("clock", "clock__convert_units"),
    ],
)
def test_the_tool_that_shares_the_most_telling_words_comes_first(query: str, best: str) -> None:
    assert INDEX.search(query)[0].tool.qualified == best


def test_an_option_of_a_parameter_finds_its_tool() -> None:
    schema = {"type": "object", "properties": {"to": {"enum": ["pound", "kilogram"]}}}
    weigh = {"name": "convert", "description": "", "inputSchema": schema}
    catalog = Catalog((Offer("scales", "scales", (weigh, tool("weigh"))),))
    found = ToolIndex(catalog.tools.values()).search("how many pounds are that")
    assert [candidate.tool.qualified for candidate in found] == ["scales__convert"]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "xyzzy", "🍕", "\0"])
def test_a_query_that_shares_no_word_finds_nothing(query: str) -> None:
    assert INDEX.search(query) == ()


def test_an_empty_catalog_finds_nothing() -> None:
    assert ToolIndex([]).search("add a note") == ()


def test_names_are_split_and_words_are_stemmed() -> None:
    assert words("createHTTPServers with max_agents2") == ("creat", "http", "server", "max", "agent", "2")
