"""The folder of kept results: bounded, private, and never half written."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ByteSize

from mcp_proxy.config import ResultSettings
from mcp_proxy.kept_results import Document, KeptResultError, KeptResults, OpenedResult


def kept(
    folder: Path, *, max_size: int = 10**6, max_count: int = 100, max_age: float = 3600.0
) -> KeptResults:
    return KeptResults(
        ResultSettings(
            path=folder / "results", max_size=ByteSize(max_size), max_count=max_count, max_age=max_age
        )
    )


def text(opened: OpenedResult) -> bytes:
    return bytes(opened.text[:])


def keep(results: KeptResults, said: str, owner: str = "me") -> str:
    handle = results.keep(Document(said.encode()), owner)
    assert handle
    return handle


def aged(folder: Path, handle: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / "results" / handle, (then, then))


async def test_what_is_kept_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    results = kept(tmp_path)
    handle = keep(results, "größer")
    assert (await results.read(handle, "me", text)).decode() == "größer"
    with pytest.raises(KeptResultError, match="there is no result"):
        await results.read(handle, "you", text)


async def test_only_the_user_can_open_the_files(tmp_path: Path) -> None:
    handle = keep(kept(tmp_path), "secret")
    folder = tmp_path / "results"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / handle).stat().st_mode) == 0o600


async def test_the_oldest_make_room_for_the_newest(tmp_path: Path) -> None:
    results = kept(tmp_path, max_count=3)
    handles: list[str] = []
    for number in range(6):
        handles.append(keep(results, str(number)))
        aged(tmp_path, handles[-1], 60 - number)
    assert {path.name for path in (tmp_path / "results").iterdir()} == set(handles[-3:])


async def test_the_bytes_on_disk_are_bounded(tmp_path: Path) -> None:
    results = kept(tmp_path, max_size=5000)
    for number in range(20):
        aged(tmp_path, keep(results, "x" * 1500), 60 - number)
        assert sum(path.stat().st_size for path in (tmp_path / "results").iterdir()) <= 5000 + 500
    assert results.keep(Document(b"x" * 6000), "me") is None


async def test_what_is_too_old_is_gone_for_readers_and_soon_from_the_disk(tmp_path: Path) -> None:
    results = kept(tmp_path, max_age=100)
    old = keep(results, "old")
    aged(tmp_path, old, 101)
    with pytest.raises(KeptResultError, match="call the tool again"):
        await results.read(old, "me", text)
    keep(results, "new")
    assert not (tmp_path / "results" / old).exists()


async def test_what_a_dead_process_never_finished_is_no_result_and_is_swept(tmp_path: Path) -> None:
    results = kept(tmp_path)
    handle = keep(results, "whole")
    half = tmp_path / "results" / "abc.unfinished"
    half.write_bytes((tmp_path / "results" / handle).read_bytes()[:3])
    with pytest.raises(KeptResultError):
        await results.read("abc.unfinished", "me", text)
    keep(results, "next")
    assert half.exists()  # somebody may still be writing it
    aged(tmp_path, "abc.unfinished", 3600)
    keep(results, "next")
    assert not half.exists()


def damages(whole: bytes) -> Iterator[bytes]:
    yield b""
    yield b"x"
    yield whole[:-1]
    yield whole[5:]
    yield b"\xff" * 40
    yield whole.replace(b'"version": 1', b'"version": 9')


@pytest.mark.parametrize("number", range(6))
async def test_a_damaged_file_is_no_result(tmp_path: Path, number: int) -> None:
    results = kept(tmp_path)
    handle = keep(results, "a result of some length")
    path = tmp_path / "results" / handle
    path.write_bytes(list(damages(path.read_bytes()))[number])
    with pytest.raises(KeptResultError):
        await results.read(handle, "me", lambda opened: (text(opened), opened.value()))


async def test_json_is_read_from_the_structured_content_else_from_the_text(tmp_path: Path) -> None:
    results = kept(tmp_path)
    both = results.keep(Document(b"in words", b'{"n": 1}'), "me")
    assert both
    assert await results.read(both, "me", lambda opened: opened.value()) == {"n": 1}
    assert await results.read(both, "me", text) == b"in words"
    assert await results.read(keep(results, "[1, 2]"), "me", lambda opened: opened.value()) == [1, 2]
    with pytest.raises(KeptResultError, match="not JSON"):
        await results.read(keep(results, "no JSON"), "me", lambda opened: opened.value())
