"""What holds for any text and any tool: planning never raises, and it never makes a value up."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm import Plan, Task
from local_llm.pocket import PocketPlanner
from local_llm.pocket.spans import find_spans
from local_llm.pocket.vocabulary import UNIT_FORMS
from tool_registry import Candidate, Catalog, Offer, ToolEntry
from tool_registry.search import words

CASES = Path(__file__).parent.parent / "cases"
CATALOGS: dict[str, list[dict[str, Any]]] = json.loads((CASES / "pocket_catalogs.json").read_text("utf-8"))
CATALOG = Catalog(tuple(Offer(name, name, tuple(tools)) for name, tools in CATALOGS.items()))
CANDIDATES = tuple(Candidate(tool, 1.0) for tool in CATALOG.tools.values())
PLANNER = PocketPlanner()

WORDS = st.sampled_from(
    "add note titled saying tagged read write file folder the a to from with named 5 seven 10km mesh star swarm "
    "'hi there' \"x y\" /tmp/a.txt notes.txt https://a.example 2026-01-01 14:30 Asia/Tokyo agents limit without "
    "don't and , . : ? claude-flow memory key value convert miles delete git commit message branch not verbose".split(
        " "
    )
)
SENTENCES = st.lists(WORDS, max_size=25).map(" ".join)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(
    "type enum const anyOf items description format minimum default $ref properties".split()
)
SCHEMAS = st.dictionaries(
    KEYWORDS, JSON_VALUES | st.sampled_from(["string", "array", "number", "#/x", "date"])
)
NAMES = st.sampled_from("path title query from_unit to maxAgents tags value verbose".split()) | st.text(
    max_size=8
)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from leaves(item)
    else:
        yield value


def is_grounded(value: Any, text: str, tool: ToolEntry) -> bool:
    """Whether `value` stands in `text`, is a reading of something there, or a declared option it mentions."""
    readings = {span.value for span in find_spans(text)}
    if isinstance(value, bool) or value in readings:
        return True
    return isinstance(value, str) and (value in text or _is_mentioned_option(value, text, tool))


def _is_mentioned_option(value: str, text: str, tool: ToolEntry) -> bool:
    """Whether the tool declares `value` and the text says it in another form: a plural, another case, "km"."""
    declared = value in json.dumps(dict(tool.input_schema), ensure_ascii=False)
    said = set(words(text)) | {word.lower() for word in re.findall(r"[^\W\d_]+", text)}
    return declared and bool(said & {*words(value), *UNIT_FORMS.get(value, ())})


async def plan_with(text: str, candidates: tuple[Candidate, ...]) -> Plan | None:
    plan = await PLANNER.plan(Task(text), candidates)
    return plan if isinstance(plan, Plan) else None


@settings(deadline=None, max_examples=150)
@given(text=SENTENCES | st.text(max_size=120), first=st.integers(0, len(CANDIDATES) - 20))
async def test_every_value_stands_in_the_text_or_is_a_declared_option(text: str, first: int) -> None:
    plan = await plan_with(text, CANDIDATES[first : first + 20])
    if plan:
        for argument in plan.call.arguments.values():
            assert all(is_grounded(value, text, plan.call.tool) for value in leaves(argument))


@settings(deadline=None, max_examples=100)
@given(text=SENTENCES)
async def test_arguments_are_parameters_and_missing_ones_are_absent(text: str) -> None:
    plan = await plan_with(text, CANDIDATES[:40])
    if plan:
        assert plan.call.arguments.keys() <= plan.call.tool.parameters.keys()
        assert set(plan.missing) == set(plan.call.tool.required) - plan.call.arguments.keys()
        assert 0 <= plan.confidence <= 1


@settings(deadline=None, max_examples=200)
@given(
    text=SENTENCES,
    name=st.text(min_size=1, max_size=12),
    description=JSON_VALUES,
    properties=st.dictionaries(NAMES, SCHEMAS | JSON_VALUES, max_size=4),
    required=JSON_VALUES | st.lists(NAMES, max_size=3),
)
async def test_planning_never_raises_whatever_a_server_declares(
    text: str, name: str, description: Any, properties: dict[str, Any], required: Any
) -> None:
    schema = {"type": "object", "properties": properties, "required": required}
    tool = ToolEntry("s", name, name, {"name": name, "description": description, "inputSchema": schema})
    await PLANNER.plan(Task(text), (Candidate(tool, 1.0),))


async def test_lists_of_identifiers_beside_single_ones_are_no_trouble() -> None:
    names = {"agentId": {"type": "string"}, "taskId": {"type": "string"}}
    many = {"agentIds": {"type": "array", "items": {"type": "string", "description": "Agent id"}}}
    schema = {"type": "object", "properties": {**many, **names}}
    entry = ToolEntry("s", "assign", "s__assign", {"name": "assign", "inputSchema": schema})
    task = Task("assign agents agent-1 and agent-2 to task task-7")
    plan = await PocketPlanner().plan(task, [Candidate(entry, 1.0)])
    assert isinstance(plan, Plan)
