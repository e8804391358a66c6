"""What the soak asks, and what has to come of it: a random mix of requests, and a ledger of their answers. No I/O."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks.soak_report import Answers
from tests.serving import script

Message = dict[str, Any]
Fits = Callable[[Message], bool]

ECHOES = ("one", "two", "three")
UPSTREAMS: Mapping[str, Mapping[str, Any]] = {
    **{name: script("echo") for name in ECHOES},
    **{name: script(name) for name in ("odd_answers", "noisy", "stubborn")},
}
"""What stands behind the proxy, as configured."""

LARGE = 1_000_000
"""Characters of a large argument, and of the result that repeats it."""

_SHOWN = 10
"""Wrong answers that are kept to be looked at."""

_UNKNOWN = -32602


@dataclass(frozen=True, slots=True)
class Request:
    """Something to ask, and how to know the answer to it, as a whole JSON-RPC message, from any other."""

    kind: str
    method: str
    params: Message
    fits: Fits


def _lists_everything(answer: Message) -> bool:
    listed = {tool["name"].split("__")[0] for tool in answer["result"]["tools"]}
    return listed >= UPSTREAMS.keys()


EVERYTHING_LISTED = Request("list", "tools/list", {}, _lists_everything)
"""What to ask first: the answer waits for every upstream."""


class Mix:
    """Requests of every kind, at random but always the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  traffic is no secret
        self._makers = {
            self._echo: 400,
            self._add: 150,
            self._odd: 80,
            self._shout: 60,
            self._fail: 50,
            self._invalid: 50,
            self._slow: 40,
            self._unknown: 40,
            self._stubborn: 30,
            self._prompt: 30,
            self._resource: 30,
            self._list: 25,
            self._task: 25,
            self._large: 5,
        }

    @property
    def kinds(self) -> int:
        """How many kinds of request there are."""
        return len(self._makers)

    def request(self) -> Request:
        [make] = self.random.choices(list(self._makers), list(self._makers.values()))
        return make()

    def _call(self, kind: str, upstream: str, tool: str, fits: Fits, **arguments: Any) -> Request:
        params: Message = {"name": f"{upstream}__{tool}", "arguments": arguments}
        return Request(kind, "tools/call", params, fits)

    def _one(self) -> str:
        return self.random.choice(ECHOES)

    def _echo(self) -> Request:
        text = f"said {self.random.random()}"
        return self._call("echo", self._one(), "echo", _says(text), text=text)

    def _add(self) -> Request:
        a, b = self.random.randrange(1000), self.random.randrange(1000)
        return self._call("add", self._one(), "add", _says(str(a + b)), a=a, b=b)

    def _odd(self) -> Request:
        name = self.random.choice(("plain", "unknown_fields", "twice", "another_id_first", "empty", "error"))
        fits = _is_error if name in {"empty", "error"} else _says("hello")
        return self._call("odd answers", "odd_answers", name, fits)

    def _shout(self) -> Request:
        text = f"heard {self.random.random()}"
        return self._call("noisy upstream", "noisy", "shout", _says(text.upper()), text=text)

    def _stubborn(self) -> Request:
        return self._call("stubborn upstream", "stubborn", "pids", lambda answer: not _failed(answer))

    def _fail(self) -> Request:
        return self._call("tool error", self._one(), "fail", _fails("it failed"))

    def _invalid(self) -> Request:
        return self._call("invalid arguments", self._one(), "add", _fails("inputSchema"), a="two")

    def _unknown(self) -> Request:
        return self._call("unknown tool", self._one(), "no_such_tool", _has_code(_UNKNOWN))

    def _slow(self) -> Request:
        seconds = self.random.uniform(0.02, 0.4)
        request = self._call("slow, with progress", self._one(), "slow", _says("done"), seconds=seconds)
        request.params["_meta"] = {}  # where the ledger puts the token
        return request

    def _large(self) -> Request:
        text = f"{self.random.random()} " + "x" * LARGE
        return self._call("1 MB", self._one(), "echo", _says(text), text=text)

    def _prompt(self) -> Request:
        name = f"{self.random.random()}"
        params: Message = {"name": f"{self._one()}__greet", "arguments": {"name": name}}
        return Request("prompt", "prompts/get", params, lambda answer: f"Hello, {name}!" in str(answer))

    def _resource(self) -> Request:
        text = f"{self.random.random()}"
        params = {"uri": f"echo://said/{text}"}
        return Request(
            "resource", "resources/read", params, lambda answer: f"'text': '{text}'" in str(answer)
        )

    def _list(self) -> Request:
        what = self.random.choice(("tools", "prompts", "resources"))
        return Request("list", f"{what}/list", {}, lambda answer: len(answer["result"][what]) > 0)

    def _task(self) -> Request:
        a, b = self.random.randrange(1000), self.random.randrange(1000)
        arguments = {"task": f"add the numbers {a} and {b} with server {self._one()}"}
        params = {"name": self.random.choice(("do", "plan")), "arguments": arguments}
        return Request("task in words", "tools/call", params, _has_ending)


@dataclass(slots=True)
class _Open:
    request: Request
    since: float
    is_cancelled: bool = False


@dataclass(slots=True)
class Ledger:
    """What was asked and what came of it. Ids are counted up from 1."""

    answers: Answers = field(default_factory=Answers)
    asked: Counter[str] = field(default_factory=Counter[str])
    """By kind of request."""
    echo_seconds: list[float] = field(default_factory=list[float])
    """How long each echo took."""
    examples: list[str] = field(default_factory=list[str])
    """The first of what is none of the expected."""
    last_id: int = 0
    _open: dict[int, _Open] = field(default_factory=dict[int, _Open])

    @property
    def waiting(self) -> int:
        """How many requests have no answer and were not cancelled."""
        done = self.answers
        answered = done.expected + done.unavailable + done.timed_out + done.wrong
        return self.last_id - done.cancelled - answered

    def ask(self, request: Request) -> Message:
        """The message that asks it."""
        self.last_id += 1
        self.asked[request.kind] += 1
        self._open[self.last_id] = _Open(request, time.perf_counter())
        if "_meta" in request.params:
            request.params["_meta"]["progressToken"] = self.last_id
        return {"jsonrpc": "2.0", "id": self.last_id, "method": request.method, "params": request.params}

    def cancel(self, number: int) -> Message | None:
        """The message that cancels a request; None when it is over. From here on it may be answered, or not."""
        request = self._open.get(number)
        if request is None or request.is_cancelled:
            return None
        request.is_cancelled = True
        self.answers.cancelled += 1
        params = {"requestId": number, "reason": "no longer wanted"}
        return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}

    def take(self, message: Message) -> None:
        """Note what the proxy sent."""
        if "method" in message:
            token = message.get("params", {}).get("progressToken")
            if message["method"] == "notifications/progress" and token not in self._open:
                self.answers.unasked += 1
                self._show("progress of nothing", message)
            return
        number = message["id"]
        if opened := self._open.pop(number, None):
            self._judge(opened, message)
        elif isinstance(number, int) and 0 < number <= self.last_id:
            self.answers.doubled += 1
            self._show("a second answer", message)
        else:
            self.answers.unasked += 1
            self._show("an answer to nothing", message)

    def close(self) -> None:
        """Nothing more will come: count what still waits."""
        self.answers.unanswered = self.waiting
        for opened in self._open.values():
            if not opened.is_cancelled:
                self._show(f"unanswered: {opened.request.method}", opened.request.params)

    def _judge(self, opened: _Open, message: Message) -> None:
        if opened.is_cancelled:
            self.answers.answered_though_cancelled += 1
        elif opened.request.fits(message):
            self.answers.expected += 1
            if opened.request.kind == "echo":
                self.echo_seconds.append(time.perf_counter() - opened.since)
        elif "(call_timeout)" in (said := _told(message)):
            self.answers.timed_out += 1
            self._show(f"timed out: {opened.request.params}", message)
        elif "stopped before it answered" in said or "is not available" in said:
            self.answers.unavailable += 1
        else:
            self.answers.wrong += 1
            self._show(f"not what {opened.request.method} {opened.request.params} asks for", message)

    def _show(self, what: str, message: Message) -> None:
        if len(self.examples) < _SHOWN:
            self.examples.append(f"{what[:300]}: {str(message)[:300]}")


def _told(answer: Message) -> str:
    """All text of a tool's result, or of an error."""
    if "error" in answer:
        return str(answer["error"])
    content = answer["result"].get("content", [])
    return "\n".join(block.get("text", "") for block in content)


def _failed(answer: Message) -> bool:
    return "error" in answer or bool(answer["result"].get("isError"))


def _says(text: str) -> Fits:
    return lambda answer: not _failed(answer) and _told(answer) == text


def _fails(text: str) -> Fits:
    return lambda answer: "result" in answer and _failed(answer) and text in _told(answer)


def _has_code(code: int) -> Fits:
    return lambda answer: "error" in answer and answer["error"]["code"] == code


def _is_error(answer: Message) -> bool:
    return "error" in answer


def _has_ending(answer: Message) -> bool:
    return "result" in answer and "ending" in answer["result"].get("structuredContent", {})
