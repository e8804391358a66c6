"""What is read out of a tool's own definition."""

from typing import Any

import pytest

from local_llm.pocket.slots import Slot, read_slot
from local_llm.pocket.spans import Kind
from local_llm.pocket.tool_reading import read_tool
from tool_registry import ToolEntry


def slot(name: str, **schema: Any) -> Slot:
    return read_slot(name, schema, required=False)


def tool(description: str = "", **properties: Any) -> ToolEntry:
    schema = {"type": "object", "properties": properties, "$defs": {"Colour": {"enum": ["red", "blue"]}}}
    return ToolEntry("s", "paint_wall", "s__paint_wall", {"description": description, "inputSchema": schema})


@pytest.mark.parametrize(
    ("description", "options"),
    [
        ("Swarm topology type (hierarchical, mesh, ring, star)", ("hierarchical", "mesh", "ring", "star")),
        ("Priority: one of low | normal | high", ("low", "normal", "high")),
        ("Output format (json/yaml)", ("json", "yaml")),
        ("Either 'fast' or 'slow'", ("fast", "slow")),
        ("A city (e.g. Paris, London)", ()),
        ("Maximum number of agents (1-50)", ()),
        ("Some text (optional, defaults to nothing)", ()),
        ("No list at all", ()),
    ],
)
def test_options_are_read_out_of_a_description_and_examples_are_not(
    description: str, options: tuple[str, ...]
) -> None:
    read = slot("mode", type="string", description=description)
    assert read.options == options
    assert not read.closed


def test_an_enum_is_closed_and_stands_above_the_description() -> None:
    read = slot("mode", type="string", enum=["a", "b"], description="Mode (c, d)")
    assert (read.options, read.closed) == (("a", "b"), True)


@pytest.mark.parametrize(
    ("name", "schema", "kind"),
    [
        ("repo_path", {"type": "string"}, Kind.PATH),
        ("target", {"type": "string", "format": "uri"}, Kind.URL),
        ("sourceTimezone", {"type": "string"}, Kind.TIMEZONE),
        ("when", {"type": "string", "description": "Day as YYYY-MM-DD"}, Kind.DATE),
        ("at", {"type": "string", "description": "24-hour HH:MM"}, Kind.TIME),
        ("zone_name", {"type": "string", "description": "IANA time zone name"}, Kind.TIMEZONE),
        ("taskId", {"type": "string"}, Kind.IDENTIFIER),
    ],
)
def test_a_parameter_tells_its_kind_by_name_format_or_description(
    name: str, schema: dict[str, Any], kind: Kind
) -> None:
    assert kind in read_slot(name, schema, required=True).kinds


def test_null_branches_leave_the_type_that_is_wanted() -> None:
    read = slot("limit", anyOf=[{"type": "integer", "minimum": 1}, {"type": "null"}])
    assert read.numeric
    assert read.minimum == 1


def test_arrays_of_objects_have_no_plain_item() -> None:
    assert slot("edits", type="array", items={"type": "object"}).item is None
    plain = slot("tags", type="array", items={"type": "string"}).item
    assert plain
    assert plain.textual


def test_a_reference_inside_the_schema_is_followed() -> None:
    (colour,) = read_tool(tool(colour={"$ref": "#/$defs/Colour"})).slots
    assert colour.options == ("red", "blue")


@pytest.mark.parametrize(
    "reference", ["#/$defs/Nowhere", "https://a.example/schema.json", "#/properties/colour"]
)
def test_a_reference_that_leads_nowhere_takes_no_plain_value(reference: str) -> None:
    (colour,) = read_tool(tool(colour={"$ref": reference})).slots
    assert not colour.textual
    assert not colour.numeric


@pytest.mark.parametrize(
    ("description", "deprecated"),
    [
        ("Reads a file. DEPRECATED: use read_text_file.", True),
        ("This tool is deprecated.", True),
        ("Lists deprecated endpoints.", False),
    ],
)
def test_only_a_tool_that_calls_itself_deprecated_is(description: str, deprecated: bool) -> None:
    assert read_tool(tool(description)).deprecated is deprecated
