"""What the journal is told of tasks, and of results: kind and size, whatever an upstream has put into them."""

from typing import Any

import pytest

from mcp_proxy.records import Asked, kind_of, size_of


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("result", "size", "kind"),
    [
        ({"content": [{"type": "text", "text": "h\ud800\u00e9"}]}, 3, "text"),
        ({"content": [{"type": "text", "text": "ab"}, {"type": "image", "data": "abcd"}]}, 6, "text+image"),
        ({"content": [{"type": "text", "text": "ab"}], "structuredContent": {"a": 1}}, 2, "text+structured"),
        ({"content": [], "structuredContent": {"a": 2**80}}, len(f'{{"a": {2**80}}}'), "structured"),
        ({"content": [], "structuredContent": nested(100_000)}, None, "structured"),
        ({"content": []}, 0, ""),
        ({}, 0, ""),
        ({"content": "text"}, 0, ""),
        ({"content": [7, None, {"text": 12}, {"type": ["x"]}]}, 2, "?+['x']"),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, dict) else "result",
)
def test_size_and_kind_are_told_of_any_result(result: dict[str, Any], size: int | None, kind: str) -> None:
    assert (size_of(result), kind_of(result)) == (size, kind)


def test_a_task_began_when_it_came_in_whenever_it_is_recorded() -> None:
    asked = Asked("jot it down", "cursor 1.0", "clerk")
    assert (asked.begun.id, asked.begun.started_at, asked.begun.ending) == (
        asked.id,
        asked.started_at,
        "running",
    )
