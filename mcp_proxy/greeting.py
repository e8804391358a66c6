"""The first answers, before anything heavy is loaded: from what was answered the last time.

Loading the MCP SDK takes most of a second, in which a client waits for `initialize` and `tools/list`. A
`Greeter` answers these from a file while the rest loads, then hands over: all it has read is handled again
by the real server, whose answers to what was answered already are kept back, and compared.

Only the standard library is imported here, and little of that.
"""

import hashlib
import json
import os
import select
import stat
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mcp_proxy import __version__

GREETED = ("initialize", "server/discover", "tools/list")

_CHUNK = 65536
_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_CLIENT_KEY = "io.modelcontextprotocol/clientInfo"

Message = dict[str, Any]
Greetings = dict[str, dict[str, Message]]
"""Results by method, then by who asked; see `asker_of`."""


def asker_of(message: Mapping[str, Any], settled: str) -> str | None:
    """What decides the answer to one of `GREETED`: the protocol version asked for or settled, and the client's name.

    Args:
        message: the request.
        settled: the asker of a handshake that came before, as `settled_as` has it.

    Returns:
        Both in one text; None for a request that is special.
    """
    given = _object(message.get("params"))
    meta = _object(given.get("_meta"))
    if "cursor" in given:
        return None
    if message.get("method") == "initialize":
        version, client = given.get("protocolVersion"), given.get("clientInfo")
    elif _VERSION_KEY in meta:
        version, client = meta[_VERSION_KEY], meta.get(_CLIENT_KEY)
    else:
        return settled or None
    return f"{version} {_object(client).get('name', '')}" if isinstance(version, str) else None


def settled_as(asker: str, result: Mapping[str, Any]) -> str:
    """The asker of what follows on a handshake, by the asker and the result of `initialize`."""
    return f"{result.get('protocolVersion', '')} {asker.partition(' ')[2]}"


def _object(value: object) -> Message:
    return cast("Message", value) if isinstance(value, dict) else {}


class GreetingFile:
    """What was answered to clients of this command line, in this folder, the last time."""

    def __init__(self, arguments: Sequence[str]) -> None:
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        place = "\0".join((__version__, os.getcwd(), os.environ.get("SWITCHBOARD_CONFIG", ""), *arguments))
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
        self.path = os.path.join(state, "switchboard", "greetings", f"{digest[:32]}.json")

    def load(self) -> Greetings | None:
        """The greetings, if the configuration they were made with has not been touched since."""
        try:
            with open(self.path, "rb") as file:
                kept = json.load(file)
            if kept["configuration"] == fingerprint(kept["configuration"]["path"]):
                return cast("Greetings", kept["greetings"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    def save(self, configuration: Message, greetings: Greetings) -> None:
        """Keep greetings made with the configuration of this `fingerprint`.

        Raises:
            OSError: the file cannot be written.
        """
        kept = {"configuration": configuration, "greetings": greetings}
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        temporary = f"{self.path}.{os.getpid()}.{threading.get_ident()}"
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(kept, file)
        os.replace(temporary, self.path)


def fingerprint(path: str) -> Message:
    """What changes when a file is edited or replaced; empty while it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return {}
    return {"path": path, "inode": found.st_ino, "size": found.st_size, "modified": found.st_mtime_ns}


def is_pipe(descriptor: int) -> bool:
    """Whether a descriptor is a pipe or socket, which can be polled."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class Greeter(threading.Thread):
    """Reads stdin and answers on stdout until `hand_over`."""

    def __init__(self, greetings: Greetings) -> None:
        super().__init__(name="greeter", daemon=True)
        self.answered: dict[int | str, Message] = {}
        """The results given, by the request's id."""
        self.received = b""
        """Everything that was read."""
        self._greetings = greetings
        self.settled = ""
        """Who has shaken hands, as `settled_as` has it."""
        self._handled = 0
        self._wake, self._waker = os.pipe()

    def run(self) -> None:
        poll = select.poll()
        poll.register(0, select.POLLIN | select.POLLHUP)
        poll.register(self._wake, select.POLLIN)
        while not any(descriptor == self._wake for descriptor, _ in poll.poll()):
            data = os.read(0, _CHUNK)
            if not data:
                return
            self.received += data
            self._handle_lines()

    def hand_over(self) -> "Greeter":
        """Stop reading, and return what was read and answered, as this greeter's attributes."""
        os.write(self._waker, b"x")
        self.join()
        os.close(self._wake)
        os.close(self._waker)
        return self

    def _handle_lines(self) -> None:
        while (end := self.received.find(b"\n", self._handled)) >= 0:
            line, self._handled = self.received[self._handled : end], end + 1
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict) and isinstance(cast("Message", message).get("id"), int | str):
                self._answer(cast("Message", message))

    def _answer(self, message: Message) -> None:
        method, asker = message.get("method"), asker_of(message, self.settled)
        if not isinstance(method, str) or asker is None:
            return
        result = self._greetings.get(method, {}).get(asker)
        if result is None:
            return
        if method == "initialize":
            self.settled = settled_as(asker, result)
        self.answered[message["id"]] = result
        data = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\n"
        while data:
            data = data[os.write(1, data) :]


def begin(arguments: Sequence[str]) -> Greeter | None:
    """A greeter at work, if this command line serves over stdio and has greetings from before."""
    if (
        sys.platform == "win32"
        or "serve" not in arguments
        or {"--transport", "-h", "--help"} & set(arguments)
    ):
        return None
    if not all(is_pipe(descriptor) for descriptor in (0, 1)):
        return None
    greetings = GreetingFile(arguments).load()
    if greetings is None:
        return None
    greeter = Greeter(greetings)
    greeter.start()
    return greeter
