"""Calls of stateless clients that wait for an answer from one request of the client to the next.

A stateless client cannot be asked anything while its call runs. So the call runs on by itself; the request
is answered with what it asks (`input_required`), and the client's next one brings the answers to it.
"""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Protocol, cast

import anyio
import anyio.abc
from mcp import MCPError
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import INVALID_PARAMS, LoggingLevel

from mcp_proxy.callers import (
    CALLER,
    PATIENCE,
    Context,
    Message,
    declared_with,
    is_at_least,
    level_asked_with,
    outbound_of,
    require,
)

_KEPT = 60.0
"""Seconds an outcome is kept for a client that has yet to come back for it."""

Work = Callable[[], Awaitable[Message]]
Subject = tuple[str, object, object]
"""The method, what it names, and its arguments."""


class Awaited(Protocol):
    """A request a stateless client waits on: what it says of the client, and the way back to it."""

    @property
    def client(self) -> object:
        """What tells its client from others; equal for two requests only if they are of one."""
        ...

    @property
    def capabilities(self) -> Mapping[str, Any]: ...

    @property
    def log_level(self) -> LoggingLevel | None: ...

    async def notify(self, method: str, params: Message) -> None:
        """Tell the client something; it is lost on a request that has been answered."""
        ...

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Tell of progress, if the request asks for any."""
        ...


class SdkRequest:
    """A request that the SDK is serving."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    @property
    def client(self) -> object:
        # Over stdio there is one client; over HTTP nothing says whether two requests are of the same one.
        return self._ctx.request

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return declared_with(self._ctx.params)

    @property
    def log_level(self) -> LoggingLevel | None:
        return level_asked_with(self._ctx.params)

    async def notify(self, method: str, params: Message) -> None:
        await outbound_of(self._ctx).notify(method, params)

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        await self._ctx.session.report_progress(progress, total, message)


class StatelessCaller:
    """A client of the stateless era: what it is asked is kept for its next request."""

    def __init__(self, request: Awaited) -> None:
        self.request = request
        """The one it waits on now; a later one takes its place when it comes back."""
        self.repeats_request = True
        self.questions: dict[str, Question] = {}
        self.asked = anyio.Event()
        self._keys = count(1)

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return self.request.capabilities

    @property
    def client(self) -> object:
        return self.request.client

    @property
    def session(self) -> None:
        return None

    @property
    def log_level(self) -> LoggingLevel | None:
        return self.request.log_level

    def takes_log(self, level: object) -> bool:
        return self.log_level is not None and is_at_least(level, self.log_level)

    async def ask(self, method: str, params: Message) -> Message:
        require(self, method, params)
        key, question = f"input-{next(self._keys)}", Question(method, params)
        self.questions[key] = question
        self.has_been_asked()
        try:
            with anyio.fail_after(PATIENCE):
                return await question.answer()
        except TimeoutError:
            raise MCPError(INVALID_PARAMS, f"nobody answered within {PATIENCE:g} s") from None
        finally:
            self.questions.pop(key, None)

    def has_been_asked(self) -> None:
        """Have the request the client waits on answered with what it is asked."""
        self.asked.set()

    async def notify(self, method: str, params: Message) -> None:
        await self.request.notify(method, params)

    def notify_now(self, method: str, params: Message) -> bool:  # noqa: ARG002  the SDK's way has to be waited for
        return False

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Hand progress to the request the client waits on now."""
        await self.request.report_progress(progress, total, message)


class Question:
    """One request of an upstream, and its answer in time."""

    def __init__(self, method: str, params: Message) -> None:
        self.request: Message = {"method": method, "params": params}
        self._answered = anyio.Event()
        self._answer: Message = {}

    def settle(self, answer: Message) -> None:
        self._answer = answer
        self._answered.set()

    async def answer(self) -> Message:
        await self._answered.wait()
        return self._answer


class _ParkedCall:
    """A call that runs on between the requests of its client."""

    def __init__(self, caller: StatelessCaller, subject: Subject, token: str) -> None:
        self.caller = caller
        self.scope = anyio.CancelScope()
        self._token = token
        self._subject = subject
        self._outcome: Message | Exception | None = None
        self._fetched = anyio.Event()

    async def run(self, work: Work, on_end: Callable[[str], object]) -> None:
        """Do the work, and keep its outcome until it is fetched."""
        with self.scope:
            try:
                self._outcome = await work()
            except Exception as error:  # noqa: BLE001  raised again where the client waits for the outcome
                self._outcome = error
            self.caller.asked.set()
            with anyio.move_on_after(_KEPT):
                await self._fetched.wait()
        on_end(self._token)

    def resume(self, ctx: Context) -> None:
        """Go on with what the client's new request brings.

        Raises:
            MCPError: it is not the request that was interrupted.
        """
        if subject_of(ctx.method, ctx.params) != self._subject:
            raise MCPError(INVALID_PARAMS, "requestState belongs to another request")
        self.caller.request = SdkRequest(ctx)
        given = (ctx.params or {}).get("inputResponses")
        for key, answer in cast("Message", given).items() if isinstance(given, dict) else ():
            if isinstance(answer, dict) and (question := self.caller.questions.pop(key, None)):
                question.settle(cast("Message", answer))

    @property
    def asks(self) -> Message:
        """The result that asks for what has to be answered."""
        requests = {key: question.request for key, question in self.caller.questions.items()}
        return {"resultType": "input_required", "inputRequests": requests, "requestState": self._token}

    async def next(self) -> Message:
        """The outcome, or what has to be answered first."""
        while self._outcome is None and not self.caller.questions:
            if self.caller.asked.is_set():
                # Only then: a client that comes back twice waits twice for the same.
                self.caller.asked = anyio.Event()
            await self.caller.asked.wait()
        if self._outcome is None:
            return self.asks
        self._fetched.set()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class Parking:
    """The calls that may outlive the requests that made them."""

    def __init__(self) -> None:
        self._mark = f"{secrets.token_hex(8)}."
        self._calls: dict[str, _ParkedCall] = {}
        self._tasks: anyio.abc.TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Where the calls run; those still waiting when it closes are cancelled."""
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    async def serve(self, ctx: Context, work: Work) -> Message:
        """Answer a stateless client's request: with the outcome of `work`, or with what it asks for.

        Raises:
            MCPError: the request's state is of a call that has ended, or `work` raised it.
        """
        state = (ctx.params or {}).get("requestState")
        if isinstance(state, str) and state.startswith(self._mark):
            call = self._calls.get(state)
            if call is None:
                raise MCPError(
                    INVALID_PARAMS, "requestState is of a call that has ended; call again without it"
                )
            call.resume(ctx)
        else:
            call = self._begin(ctx, work)
        try:
            return await call.next()
        except anyio.get_cancelled_exc_class():
            call.scope.cancel()
            raise

    def adopt(self, caller: StatelessCaller, subject: Subject, work: Work) -> Message:
        """Go on with a call that has begun elsewhere, and return the result that asks what it has been asked.

        Args:
            caller: its client, which has been asked something.
            subject: what the client's next request has to be about.
            work: waits for its outcome.
        """
        return self._run(caller, subject, work).asks

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task that waits for a client, until the parking closes."""
        self._open_tasks.start_soon(task)

    def _begin(self, ctx: Context, work: Work) -> _ParkedCall:
        caller = StatelessCaller(SdkRequest(ctx))
        before = CALLER.set(caller)
        try:
            return self._run(caller, subject_of(ctx.method, ctx.params), work)
        finally:
            CALLER.reset(before)

    def _run(self, caller: StatelessCaller, subject: Subject, work: Work) -> _ParkedCall:
        token = self._mark + secrets.token_urlsafe(16)
        call = self._calls[token] = _ParkedCall(caller, subject, token)
        self._open_tasks.start_soon(call.run, work, self._calls.pop)
        return call

    @property
    def _open_tasks(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise RuntimeError("calls are served only while the parking is open")
        return self._tasks


def subject_of(method: str, params: Mapping[str, Any] | None) -> Subject:
    """What a request is about: a later one with its state has to be about the same, for that is what was approved."""
    params = params or {}
    return method, params.get("name", params.get("uri")), params.get("arguments")


@asynccontextmanager
async def progress_of(ctx: Context) -> AsyncGenerator[ProgressFnT | None]:
    """A callback that hands progress to the client, if it asked for any; all of it before the block has ended.

    What comes later is dropped: after its answer, a request has no progress to tell of.
    """
    if not ctx.meta or "progress_token" not in ctx.meta:
        yield None
        return
    caller = CALLER.get()
    report = caller.report_progress if isinstance(caller, StatelessCaller) else ctx.session.report_progress
    turn, over = anyio.Lock(), False

    async def told(progress: float, total: float | None, message: str | None) -> None:
        async with turn:
            if not over:
                await report(progress, total, message)

    try:
        yield told
        # Whoever waits for its turn may wait for a client that does not read; those before it go first.
        await turn.acquire()
        turn.release()
    finally:
        over = True
