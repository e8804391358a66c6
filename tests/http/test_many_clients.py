"""Five clients of every kind at once: each gets what is its own, all get what is for all."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server.subscriptions import ToolsListChanged

from tests.http.listening import Listening, listening, over_http, over_sse, until_ready
from tests.relay.person import Person, asker
from tests.relay.test_questions import FORM
from tests.serving import Progress, configured, script, text_of

MODERN = "2026-07-28"
EVERY_STEP = [(step, 10, f"step {step}") for step in range(10)]


@dataclass
class Guest:
    """A client, and who sits before it."""

    client: Client
    person: Person
    progress: Progress = field(default_factory=Progress)

    @property
    def name(self) -> str:
        return self.person.name

    @property
    def is_modern(self) -> bool:
        return self.client.protocol_version == MODERN


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Listening]:
    upstreams = {"echo": script("echo"), "changing": script("changing"), "asker": asker(MODERN)}
    async with listening(configured(tmp_path, upstreams)) as started:
        # Nothing changes any more unless a test changes it.
        await until_ready(started)
        yield started


@pytest.fixture
async def guests(server: Listening) -> AsyncGenerator[list[Guest]]:
    async with AsyncExitStack() as stack:

        async def enter(name: str, way: Callable[..., Any], **mode: str) -> Guest:
            person = Person(name)
            return Guest(await stack.enter_async_context(way(server, **mode, **person.callbacks())), person)

        yield [
            await enter("Ada", over_http, mode="legacy"),
            await enter("Ben", over_http, mode="legacy"),
            await enter("Cem", over_http, mode=MODERN),
            await enter("Dee", over_http, mode=MODERN),
            await enter("Eve", over_sse),
        ]


async def everyone(guests: list[Guest], act: Callable[[Guest], Coroutine[Any, Any, None]]) -> None:
    """Have all act at once."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for guest in guests:
                tasks.start_soon(act, guest)


async def test_each_gets_its_own_results_and_is_asked_only_about_its_own_calls(guests: list[Guest]) -> None:
    results: dict[str, list[Any]] = {}

    async def act(guest: Guest) -> None:
        echoed = [
            text_of(await guest.client.call_tool("echo__echo", {"text": f"{guest.name} {i}"}))
            for i in range(5)
        ]
        asked = await guest.client.call_tool("asker__ask", FORM)
        results[guest.name] = [*echoed, (asked.structured_content or {})["answer"]["content"]["name"]]

    await everyone(guests, act)
    names = ["Ada", "Ben", "Cem", "Dee", "Eve"]
    assert results == {name: [*(f"{name} {i}" for i in range(5)), name] for name in names}
    assert [guest.person.asked for guest in guests] == [["Your name?"]] * 5


async def test_cancelling_one_call_leaves_the_others_theirs_and_their_progress(
    guests: list[Guest], tmp_path: Path
) -> None:
    """Done once by a client of each kind."""
    for quitter in (guests[0], guests[2], guests[4]):
        others = [guest for guest in guests if guest is not quitter]
        done: list[str] = []
        for guest in guests:
            guest.progress = Progress()

        async def act(guest: Guest, done: list[str] = done, quitter: Guest = quitter) -> None:
            seconds = 60 if guest is quitter else 1.0
            arguments = {"seconds": seconds, "marker": str(tmp_path / f"{quitter.name}-{guest.name}")}
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    if guest is quitter:
                        tasks.start_soon(quit_once_begun, guest, scope)
                    result = await guest.client.call_tool(
                        "echo__slow", arguments, progress_callback=guest.progress
                    )
                    done.append(f"{guest.name} {text_of(result)}")

        await everyone(guests, act)
        assert sorted(done) == [f"{guest.name} done" for guest in others]
        assert [guest.progress.steps for guest in others] == [EVERY_STEP] * 4
        await until_only(tmp_path / f"{quitter.name}-{quitter.name}", quitter)


async def quit_once_begun(guest: Guest, scope: anyio.CancelScope) -> None:
    await guest.progress.begun.wait()
    scope.cancel()


async def until_only(marker: Path, quitter: Guest) -> None:
    """Return when the upstream has noted the end of this call, and of no other of the round."""
    with anyio.fail_after(20):
        while not await anyio.Path(marker).exists():
            await quitter.client.call_tool("echo__echo", {"text": "still there"})
    assert list(marker.parent.glob(f"{quitter.name}-*")) == [marker]


async def test_a_changed_list_is_told_to_all_and_found_by_all(guests: list[Guest]) -> None:
    listening_now = [anyio.Event() for guest in guests if guest.is_modern]
    unheard = list(listening_now)
    for guest in guests:
        assert "changing__latest" not in await names(guest)

    async def act(guest: Guest) -> None:
        if guest.is_modern:
            async with guest.client.listen(tools_list_changed=True) as events:
                unheard.pop().set()
                assert await anext(events) == ToolsListChanged()
        else:
            await guest.person.until(lambda: len(guest.person.told) > 0)
            assert [news.method for news in guest.person.told] == ["notifications/tools/list_changed"]
        assert "changing__latest" in await names(guest)

    async def change() -> None:
        for event in listening_now:
            await event.wait()
        await guests[0].client.call_tool("changing__add", {"name": "latest"})

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(everyone, guests, act)
            tasks.start_soon(change)


async def names(guest: Guest) -> set[str]:
    return {tool.name for tool in (await guest.client.list_tools()).tools}
