"""What a real process says on stderr: its last words, whatever they are, and no descriptor left behind."""

import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from mcp_proxy.stderr_tail import StderrTail


async def heard(script: str) -> StderrTail:
    """The tail of a process that runs `script`, whose `say` writes bytes to stderr, to its end."""
    tail = StderrTail("upstream")
    say = "import os, sys\ndef say(said):\n    while said: said = said[os.write(2, said):]\n"
    async with tail.collecting() as stderr:
        await anyio.run_process([sys.executable, "-Sc", say + script], stdout=None, stderr=stderr)
    return tail


def logged(events: list[MutableMapping[str, Any]]) -> list[str]:
    return [event["line"] for event in events if event["event"] == "upstream.stderr"]


CASES = {
    "a line": (r"say(b'it broke\n')", "it broke"),
    "no newline at the end": (r"say(b'first\nit broke')", "it broke"),
    "blank lines after it": (r"say(b'it broke\n\n  \n\r\n')", "it broke"),
    "a line in pieces": (r"say(b'it '); say(b'bro'); say(b'ke\n')", "it broke"),
    "Windows line ends": (r"say(b'first\r\nit broke\r\n')", "it broke"),
    "bytes that are no text": (r"say(b'\xff\x00\xfe broke\n')", "\ufffd\x00\ufffd broke"),
    "letters of several bytes": ("say('blåbær'.encode())", "blåbær"),
    "nothing": ("", ""),
    "blanks": (r"say(b' \n\t\n')", ""),
    "npm, which has much to add": (
        (
            r"say(b'npm warn old\nnpm error code E404\nnpm error 404 Not Found - GET /x\nnpm error 404\n"
            r"npm error 404 Note that you can also install from a\n"
            r"npm error A complete log of this run can be found in: /home/me/.npm/_logs/1.log\n')"
        ),
        "npm error code E404; 404 Not Found - GET /x",
    ),
    "npm of before": (
        (
            r"say(b'npm ERR! code ENOENT\nnpm ERR! A complete log of this run can be found in:\n"
            r"npm ERR!     /home/me/.npm/_logs/1.log\n')"
        ),
        "npm ERR! code ENOENT",
    ),
    "a server that npm warns of first": (
        r"say(b'npm warn deprecated x\nit broke\nnpm notice new\n')",
        "it broke",
    ),
    "npm with nothing but warnings": (r"say(b'npm warn deprecated x\n')", "npm warn deprecated x"),
    "a death in the middle": (r"say(b'Segmentation'); os._exit(0)", "Segmentation"),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_last_words_are_the_last_line_that_says_something(case: str) -> None:
    script, words = CASES[case]
    assert (await heard(script)).last_words == words


async def test_every_line_is_logged_in_order_with_its_upstream() -> None:
    with capture_logs() as events:
        await heard(r"say(b'one\n\ntwo\nthree')")
    assert logged(events) == ["one", "two", "three"]
    assert {event["upstream"] for event in events} == {"upstream"}


async def test_of_many_lines_every_one_is_logged_and_the_last_is_known() -> None:
    with capture_logs() as events:
        tail = await heard(r"say(b''.join(b'line %d\n' % n for n in range(20_000)))")
    assert logged(events) == [f"line {number}" for number in range(20_000)]
    assert tail.last_words == "line 19999"


@pytest.mark.parametrize("end", ["", "\\n"])
async def test_a_line_without_end_is_cut_and_does_not_fill_the_memory(end: str) -> None:
    with capture_logs() as events:
        tail = await heard(rf"say(b'x' * 5_000_000 + b'{end}')")
    assert tail.last_words == "x" * 2000
    assert len(logged(events)) == 1


async def test_a_process_is_never_held_up_by_what_it_says() -> None:
    assert (await heard(r"say((b'x' * 999 + b'\n') * 2000 + b'done')")).last_words == "done"


async def test_someone_who_holds_on_to_the_pipe_and_babbles_on_does_not_hold_up_the_end() -> None:
    babbler = "import signal; signal.alarm(20)\n    while True: os.write(2, b'y' * 65536)"
    script = f"for _ in range(4):\n  if os.fork() == 0:\n    {babbler}\nsay(b'bye')"
    start = anyio.current_time()
    await heard(script)
    assert anyio.current_time() - start < 10


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/dev/fd").iterdir()}


async def test_no_descriptor_is_left_however_the_block_ends() -> None:
    await heard("say(b'x')")
    before = descriptors()
    for _ in range(3):
        await heard("say(b'x')")
        async with StderrTail("upstream").collecting():
            pass
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            async with StderrTail("upstream").collecting():
                raise ValueError("it did not start")
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with StderrTail("upstream").collecting():
                await anyio.sleep_forever()
    assert descriptors() == before
