"""Does its worst in the middle of a call: each tool is one way, named for what it does.

What it says on stdout is written as bytes, for some of it no encoder would write.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from lines import Message, Served, every_message, send, tool

MIB = 1 << 20
WAIT = "import signal; signal.alarm(60); signal.pause()"

held: list[int | str] = []
"""Calls that are answered when they are cancelled."""


def write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def answer(number: int | str, text: bytes, rest: bytes = b"") -> bytes:
    """A line that answers a call with `text`, already JSON, and with `rest` after its content."""
    return b'{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%s}]%s}}\n' % (
        json.dumps(number).encode(),
        text,
        rest,
    )


def large(number: int | str, arguments: Message) -> None:
    """A result of `mib` MiB."""
    write(answer(number, b'"%s"' % (b"x" * (arguments["mib"] * MIB))))


def endless_line(number: int | str, arguments: Message) -> None:
    """The beginning of an answer, `mib` MiB of it, and no end."""
    write(answer(number, b'"')[:-4])
    for _ in range(arguments["mib"]):
        write(b"x" * MIB)


def half_an_answer(number: int | str, _: Message) -> None:
    whole = answer(number, b'"half"')
    write(whole[: len(whole) // 2])
    os._exit(1)


def leaves_a_child(_: int | str, __: Message) -> None:
    """Ends, while a child holds stdout open."""
    subprocess.Popen([sys.executable, "-c", WAIT], stdin=subprocess.DEVNULL)
    os._exit(0)


def invalid_utf8(number: int | str, _: Message) -> None:
    write(answer(number, b'"caf\xe9"'))


def half_a_surrogate(number: int | str, _: Message) -> None:
    """What JSON.stringify makes of an emoji that was cut in two."""
    write(answer(number, rb'"cut \ud83d"'))


def not_a_number(number: int | str, _: Message) -> None:
    """What Python's json makes of NaN and the infinities."""
    write(answer(number, b'"odd"', b',"structuredContent":{"a":NaN,"b":[-Infinity,1e999]}'))


def huge_integer(number: int | str, _: Message) -> None:
    write(
        answer(number, b'"huge"', b',"structuredContent":{"fits":18446744073709551615,"n":1%s}' % (b"0" * 40))
    )


def endless_integer(number: int | str, _: Message) -> None:
    """More digits than Python is willing to convert."""
    write(answer(number, b'"endless"', b',"structuredContent":{"n":1%s}' % (b"0" * 100_000)))


def deep(number: int | str, arguments: Message) -> None:
    """Lists in lists, `levels` of them."""
    levels = arguments["levels"]
    write(answer(number, b'"deep"', b',"structuredContent":{"a":%s%s}' % (b"[" * levels, b"]" * levels)))


def no_json(number: int | str, _: Message) -> None:
    """An answer with a bracket too few."""
    write(answer(number, b'"almost"')[:-2] + b"\n")


def flood(number: int | str, arguments: Message) -> None:
    """So many notifications `of` one method, and then the answer."""
    line = b'{"jsonrpc":"2.0","method":"%s","params":{"level":"debug","data":"%s"}}\n' % (
        arguments["of"].encode(),
        b"x" * 50,
    )
    for _ in range(arguments["count"] // 1000):
        write(line * 1000)
    write(answer(number, b'"dry"'))


def flood_stderr(number: int | str, arguments: Message) -> None:
    """So many MiB on stderr, without an end of line, and then the answer."""
    for _ in range(arguments["mib"]):
        os.write(2, b"\xff" * MIB)
    write(answer(number, b'"dry"'))


def when_cancelled(number: int | str, _: Message) -> None:
    held.append(number)
    send({"method": "notifications/progress", "params": {"progressToken": number, "progress": 1}})


TOOLS: dict[str, Callable[[int | str, Message], None]] = {
    do.__name__: do
    for do in (
        large,
        endless_line,
        half_an_answer,
        leaves_a_child,
        invalid_utf8,
        half_a_surrogate,
        not_a_number,
        huge_integer,
        endless_integer,
        deep,
        no_json,
        flood,
        flood_stderr,
        when_cancelled,
    )
}


def answer_the_cancelled() -> None:
    """Twice, and with progress between."""
    for number in held:
        write(answer(number, b'"too late"'))
        send({"method": "notifications/progress", "params": {"progressToken": number, "progress": 2}})
        write(answer(number, b'"later still"'))
    held.clear()


def requests() -> Iterator[Message]:
    for message in every_message():
        if "id" in message:
            yield message
        elif message["method"] == "notifications/cancelled":
            answer_the_cancelled()


if __name__ == "__main__":
    hostile = Served(
        "hostile", lambda _: {"tools": [*map(tool, TOOLS), tool("pid")]}, lambda _, __: f"{os.getpid()}"
    )
    for request in requests():
        called = request["params"]["name"] if request["method"] == "tools/call" else ""
        if called in TOOLS:
            TOOLS[called](request["id"], request["params"].get("arguments", {}))
        else:
            hostile.answer(request)
