"""Files of records: what is read, and what is said of lines that are none."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from local_llm.evaluation import BadRecordError, read_records

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "bad_records.json").read_text("utf-8"))
GOOD: dict[str, Any] = {
    "id": "a",
    "source": "own",
    "query": "do it",
    "tools": [{"name": "t", "inputSchema": {"type": "object"}}],
    "kind": "single",
    "calls": [{"name": "t", "arguments": {"x": 1}}],
}


def line(**changed: Any) -> str:
    return json.dumps({**GOOD, **changed})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_a_bad_line_is_named_by_file_and_number_with_what_is_wrong(
    case: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "mine.jsonl"
    bad = case.get("line") or line(**case["record"])
    file.write_text(f"{line(id='first')}\n\n{bad}\n", encoding="utf-8")
    with pytest.raises(BadRecordError) as caught:
        read_records([file])
    message = str(caught.value)
    assert f"{file}, line 3: " in message
    assert case["says"] in message


def test_all_bad_lines_are_told_at_once_up_to_ten(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("x\n" * 13, encoding="utf-8")
    with pytest.raises(BadRecordError, match="and 3 more") as caught:
        read_records([file])
    assert len(caught.value.problems) == 13


def test_a_record_that_stands_there_twice_is_told_with_both_places(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(line(), encoding="utf-8")
    two.write_text(line(), encoding="utf-8")
    with pytest.raises(BadRecordError, match=r"two.jsonl, line 1: id 'a' stands at .*one.jsonl, line 1 too"):
        read_records([one, two])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl.gz", line().encode(), "take .gz off its name"),
        ("a.jsonl.gz", gzip.compress(line().encode() * 99, mtime=0)[:60], "damaged or cut off"),
        ("a.jsonl", b'{"id": "\xff"}', "not UTF-8"),
        ("a.jsonl", b"[" * 100_000, "not JSON"),
    ],
    ids=["not compressed", "cut off", "other bytes", "nested without end"],
)
def test_a_file_that_breaks_off_is_told(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRecordError, match=says):
        read_records([tmp_path / name])


def test_a_byte_order_mark_and_a_missing_last_newline_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + f"{line()}\r\n{line(id='b', accept=[{'t': {'x': [1, '']}}])}".encode())
    assert [record.id for record in read_records([file])] == ["a", "b"]
