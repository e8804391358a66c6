"""Schemas made to take long, by name, each with arguments that make it."""

from typing import Any

Bomb = tuple[dict[str, Any], dict[str, Any]]


def _alternatives(keyword: str) -> Bomb:
    """Two ways at every one of many levels, none of which fits."""
    definitions: dict[str, Any] = {
        f"a{level}": {keyword: [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(30)
    }
    definitions["a30"] = {"type": "integer"}
    return {"$defs": definitions, "properties": {"x": {"$ref": "#/$defs/a0"}}}, {"x": "none"}


def _cycle() -> Bomb:
    """A tree that is looked at twice at every level of itself."""
    below = {"items": {"$ref": "#/$defs/node"}}
    node = {"properties": {"c": below}, "anyOf": [{"required": ["z"]}, {"properties": {"c": below}}]}
    tree: dict[str, Any] = {"c": []}
    for _ in range(9):
        tree = {"c": [tree, tree]}
    return {"$defs": {"node": node}, "$ref": "#/$defs/node"}, tree


def _deep() -> Bomb:
    schema: dict[str, Any] = {"type": "integer"}
    arguments: Any = "none"
    for _ in range(60):
        schema, arguments = {"properties": {"a": schema}}, {"a": arguments}
    return schema, arguments


BOMBS: dict[str, Bomb] = {
    "exponential_anyof": _alternatives("anyOf"),
    "exponential_oneof": _alternatives("oneOf"),
    "reference_cycle": _cycle(),
    "reference_to_itself": ({"$ref": "#"}, {"a": 1}),
    "deep_nesting": _deep(),
    "nested_without_end": ({"properties": {"x": {"not": {"not": _deep()[0]}}}}, {"x": _deep()[1]}),
    "huge_enum": (
        {"properties": {"x": {"enum": [f"an option called {each}" for each in range(18_000)]}}},
        {"x": "an-option-caled-7"},
    ),
    "huge_enum_of_lists": (
        {"properties": {"x": {"items": {"enum": [[*range(20), each] for each in range(800)]}}}},
        {"x": [[*range(20), -1]] * 400},
    ),
    "thousands_required": (
        {"anyOf": [{"required": [f"parameter_{each}" for each in range(9_000)]}]},
        {},
    ),
    "hundreds_of_near_names": (
        {
            "properties": {f"parameter_{each}": {} for each in range(500)},
            "additionalProperties": False,
        },
        {f"parametre_{each}x": 1 for each in range(500)},
    ),
    "numbers_in_quotes": (
        {
            "properties": {
                "x": {"items": {"anyOf": [{"type": "integer", "minimum": low} for low in range(100)]}}
            }
        },
        {"x": ["5"] * 100},
    ),
    "catastrophic_pattern": (
        {"properties": {"x": {"pattern": "((a{0,100}){0,9}){0,1}b.*(x+x+)+y"}}},
        {"x": "a" * 40_000 + "b"},
    ),
    "patterns_for_every_name": (
        {"patternProperties": {f"(a|b)*c{each}.*": {"type": "string"} for each in range(500)}},
        {f"{'ab' * 200}{each}": 1 for each in range(50)},
    ),
}

SLOW = ("catastrophic_pattern", "numbers_in_quotes", "exponential_anyof")
"""Those of which the whole check takes some hundred milliseconds and more."""
