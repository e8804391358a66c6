"""The files server, through the protocol."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.demo.demo_serving import answer, cases, refusal, started, text_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes links and pipes as POSIX does")

SECRET = "the secret outside\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files, links and a pipe in it, and a secret beside it."""
    top = tmp_path_factory.mktemp("files").resolve()
    outside, root = top / "outside", top / "root"
    (root / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (root / "plain.txt").write_text("plain\n")
    (root / "picture.bin").write_bytes(b"\x89PNG\xff\xfe")
    (root / "large.txt").write_text("needle in a haystack\n" * 60_000)
    (root / "outside-link").symlink_to(outside)
    (root / "secret-link").symlink_to(outside / "secret.txt")
    (root / "inside-link").symlink_to("plain.txt")
    (root / "dangling-link").symlink_to(outside / "absent.txt")
    (root / "loop-link").symlink_to("loop-link")
    (root / "inner" / "up-link").symlink_to(top)
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="module")
async def client(root: Path) -> AsyncIterator[Client]:
    async with Client(started("files", "--root", root)) as client:
        yield client


async def test_a_file_can_be_written_read_moved_and_deleted(client: Client, root: Path) -> None:
    text = "Liebe Grüße 👋\r\nzwei\n"
    written = await answer(client, "write_text", path="letters/may/a.txt", text=text)
    assert (written["path"], written["kind"], written["size"]) == (
        "letters/may/a.txt",
        "file",
        len(text.encode()),
    )
    read = await client.call_tool("read_text", {"path": "letters/may/a.txt"})
    assert (text_of(read), read.structured_content) == (text, None)
    moved = await answer(client, "move_file", source="letters/may/a.txt", destination="letters/june/b.txt")
    assert moved["path"] == "letters/june/b.txt"
    assert (root / "letters/june/b.txt").read_bytes() == text.encode()
    assert not (root / "letters/may/a.txt").exists()
    deleted = await answer(client, "delete_file", path="letters/june/b.txt")
    assert deleted == moved
    assert not (root / "letters/june/b.txt").exists()


async def test_writing_replaces_the_whole_file(client: Client, root: Path) -> None:
    await answer(client, "write_text", path="twice.txt", text="a long first text")
    await answer(client, "write_text", path="twice.txt", text="short")
    assert (root / "twice.txt").read_text() == "short"


async def test_a_listing_names_the_kind_of_each_entry_and_shows_links_as_links(client: Client) -> None:
    listing = await answer(client, "list_folder")
    kinds = {entry["path"]: entry["kind"] for entry in listing["entries"]}
    assert (
        kinds.items()
        >= {"inner": "folder", "plain.txt": "file", "outside-link": "link", "pipe": "other"}.items()
    )
    assert not listing["truncated"]
    inner = await answer(client, "list_folder", path="inner")
    assert [(entry["path"], entry["kind"]) for entry in inner["entries"]] == [("inner/up-link", "link")]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses such names")
async def test_a_name_that_is_not_utf8_does_not_spoil_a_listing(client: Client, root: Path) -> None:
    (root / "odd").mkdir()
    (root / "odd" / os.fsdecode(b"caf\xe9.txt")).write_text("latin")
    listing = await answer(client, "list_folder", path="odd")
    assert [entry["path"] for entry in listing["entries"]] == ["odd/caf?.txt"]
    found = await answer(client, "search_text", pattern="latin", path="odd")
    assert [match["path"] for match in found["matches"]] == ["odd/caf?.txt"]


async def test_search_finds_lines_whatever_their_case_and_takes_the_pattern_as_it_stands(
    client: Client,
) -> None:
    await answer(client, "write_text", path="src/a.txt", text="one\fstill one\r\nCall f(x)* now\r\n")
    await answer(client, "write_text", path="src/deep/b.txt", text="CALL F(X)* TOO\nfxx\n")
    found = await answer(client, "search_text", pattern="f(x)*", path="src")
    assert found == {
        "matches": [
            {"path": "src/a.txt", "line": 2, "text": "Call f(x)* now"},
            {"path": "src/deep/b.txt", "line": 1, "text": "CALL F(X)* TOO"},
        ],
        "truncated": False,
    }
    assert len((await answer(client, "search_text", pattern="f(x)*", path="src/a.txt"))["matches"]) == 1


async def test_search_says_when_it_stopped_early(client: Client) -> None:
    await answer(client, "write_text", path="many.txt", text="again\n" * 101)
    found = await answer(client, "search_text", pattern="again", path="many.txt")
    assert (len(found["matches"]), found["truncated"]) == (100, True)


async def test_search_never_looks_through_a_link(client: Client) -> None:
    assert (await answer(client, "search_text", pattern=SECRET.strip()))["matches"] == []


@pytest.mark.parametrize("case", cases("escapes"), ids=lambda case: repr(case["path"]))
async def test_no_tool_leaves_the_folder(client: Client, root: Path, case: dict[str, str]) -> None:
    path, says = case["path"], case["says"]
    before = set(root.parent.rglob("*"))
    for tool, arguments in {
        "list_folder": {"path": path},
        "read_text": {"path": path},
        "write_text": {"path": path, "text": "overwritten"},
        "search_text": {"path": path, "pattern": "secret"},
        "delete_file": {"path": path},
    }.items():
        assert says in await refusal(client, tool, **arguments)
    assert says in await refusal(client, "move_file", source=path, destination="stolen.txt")
    assert says in await refusal(client, "move_file", source="plain.txt", destination=path)
    assert set(root.parent.rglob("*")) == before
    assert (root.parent / "outside" / "secret.txt").read_text() == SECRET
    assert (root / "plain.txt").read_text() == "plain\n"


@pytest.mark.parametrize(
    "case", cases("file_refusals"), ids=lambda case: f"{case['tool']} {case['arguments']}"
)
async def test_bad_input_is_a_tool_error_that_names_it(client: Client, case: dict[str, Any]) -> None:
    message = await refusal(client, case["tool"], **case["arguments"])
    assert [words for words in case["says"] if words not in message] == []


async def test_a_name_too_long_for_the_system_is_a_tool_error(client: Client) -> None:
    assert "could not be used" in await refusal(client, "write_text", path="x" * 5000, text="")


def test_a_root_that_is_no_folder_is_refused_at_start(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mcp_proxy.demo.files", "--root", str(tmp_path / "absent")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "absent is not a folder; create it" in ended.stderr
