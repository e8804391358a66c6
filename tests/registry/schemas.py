"""Strategies for schemas and arguments that have something to do with each other."""

from typing import Any

from hypothesis import strategies as st

NAMES = ("file_name", "fileName", "count", "maximum", "maxmum", "tags", "unit")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 15),
    st.sampled_from([0.5, 2.0, 1e20]),
    st.sampled_from(["5", "5.0", "true", "False", "null", "kelvin", "KELVIN", "kel", "x", "", "a,b"]),
    st.sampled_from(['["5"]', "[1, 2]", '{"count": "3"}', "2026-11-21", "20261121", "2026-11-21T00:00:00Z"]),
    st.text(max_size=4),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)

_plain: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": st.integers(-2, 6),
            "exclusiveMaximum": st.integers(2, 9),
            "multipleOf": st.just(2),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(1, 5),
            "pattern": st.sampled_from(["^[a-z]*$", "5", "(a+)+$"]),
            "format": st.sampled_from(["date", "date-time", "email"]),
        },
    ),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"type": ["integer", "null"]},
            {"enum": ["celsius", "kelvin", "KELVIN", "5"]},
            {"enum": [5, 1, None, True]},
            {"const": "kelvin"},
            {"const": 5},
            {},
        ]
    ),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)},
        optional={
            "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "minProperties": st.integers(0, 2),
            "patternProperties": st.dictionaries(st.sampled_from(["^f", "x"]), inner, max_size=1),
        },
    )


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    return {**schema, "default": default}


def _inside(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 2), "uniqueItems": st.booleans()},
        ),
        _objects(inner),
        st.fixed_dictionaries({"anyOf": several}),
        st.fixed_dictionaries({"oneOf": several}),
        st.fixed_dictionaries({"allOf": several}),
        st.fixed_dictionaries({"not": inner}),
        st.builds(_with_default, inner, values),
    )


subschemas = st.recursive(_plain, _inside, max_leaves=8)
schemas = _objects(subschemas)
"""Valid schemas of an object, in 2020-12."""
