"""With privacy at "high" nothing of a task reaches an escalator: the socket that would hear of it hears nothing."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import anyio.to_thread
import pytest

from tests.serving import configured, demo, outcome_of, serving, text_of

VAGUE = "put down a note to remember that the plumber comes on Friday"


@dataclass
class Ear:
    """A listening TCP socket that answers nothing, and what came in on it."""

    url: str
    connections: int = 0
    heard: bytearray = field(default_factory=bytearray)
    something: Event = field(default_factory=Event)

    def listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            self.connections += 1
            with connection:
                self.heard += connection.recv(1 << 16)
                self.something.set()


@contextmanager
def ear() -> Generator[Ear]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = Ear(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = Thread(target=one.listen, args=(listener,), daemon=True)
        thread.start()
        yield one
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def config(folder: Path, url: str, level: str) -> Path:
    notes = demo("notes", "--database", str(folder / "notes.sqlite"))
    escalation = {"model": "m", "api_key": "sk-ant-made-up", "base_url": url, "timeout": 5, "max_retries": 0}
    tables = {"escalation": escalation, "planner": {"threshold": 1.0}, "privacy": {"level": level}}
    return configured(folder, {"notes": notes}, **tables)


@pytest.mark.parametrize("level", ["normal", "high"])
async def test_a_configuration_decides_whether_anything_is_sent(tmp_path: Path, level: str) -> None:
    with ear() as listener:
        async with serving(config(tmp_path, listener.url, level)) as client:
            await client.list_tools()
            assert listener.connections == 0  # nothing is opened before somebody is unsure
            result = await client.call_tool("do", {"task": VAGUE})
        if level == "normal":
            await anyio.to_thread.run_sync(listener.something.wait)
            assert b"POST /v1/messages" in listener.heard
            assert "claude" in text_of(result) + str(outcome_of(result)["route"])
    assert outcome_of(result)["ending"] == "unsure"
    if level == "high":
        assert (listener.connections, bytes(listener.heard)) == (0, b"")


async def test_a_task_may_be_private_where_others_are_not(tmp_path: Path) -> None:
    with ear() as listener:
        async with serving(config(tmp_path, listener.url, "normal")) as client:
            result = await client.call_tool("do", {"task": VAGUE, "privacy": "high"})
            assert outcome_of(result)["privacy"] == "high"
            assert "privacy is high" in outcome_of(result)["reason"]
        assert (listener.connections, bytes(listener.heard)) == (0, b"")
