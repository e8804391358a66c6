"""Profiles follow the configuration file: edited while clients are connected, over stdio and over HTTP."""

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp_types import ToolListChangedNotification

from tests.exposure.test_profiles_over_http import client_at, shown, status
from tests.http.listening import ACCEPT, INITIALIZE, Listening, bearing, listening, raw
from tests.serving import ERAS, command, configured, demo
from tests.upstream_options.parts import DEADLINE, until

ANYONES = "anyones-0123456789abcdef"
READERS = "readers-0123456789abcdef"
WRITERS = "writers-0123456789abcdef"
LISTING = {"notes__list_notes"}
READING = {"notes__search_notes", "notes__list_notes", "notes__read_note"}
LISTER: dict[str, Any] = {"allow": ["notes/list_*"], "expose": "all"}
READER: dict[str, Any] = {"read_only": True, "expose": "all"}


def saved(folder: Path, server: dict[str, Any] | None = None, **profiles: dict[str, Any]) -> Path:
    """The file with these profiles."""
    tables = {f"profiles.{name}": table for name, table in profiles.items()}
    notes = demo("notes", "--database", str(folder / "notes.sqlite"))
    return configured(folder, {"notes": notes}, server=server or {}, **tables)


async def until_shown(client: Client, *expected: set[str]) -> None:
    """Return once one of these is what the client is shown of the upstreams' tools."""
    with anyio.fail_after(DEADLINE):
        while await shown(client) not in expected:
            await anyio.lowlevel.checkpoint()


async def until_status(server: Listening, path: str, token: str, expected: int) -> None:
    with anyio.fail_after(DEADLINE):
        while await status(server, path, token) != expected:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("era", ERAS)
async def test_a_profile_is_what_the_file_says_now(tmp_path: Path, era: str) -> None:
    config = saved(tmp_path, p=LISTER)
    async with Client(command(config, "serve", "--profile", "p"), mode=era, cache=None) as client:
        await until_shown(client, LISTING)
        saved(tmp_path, p=READER)
        await until_shown(client, READING)
        renamed = {**LISTER, "tools": {"notes/list_notes": {"name": "all_notes"}}}
        saved(tmp_path, p=renamed)
        await until_shown(client, {"all_notes"})
        assert not (await client.call_tool("all_notes", {})).is_error


async def test_clients_of_a_removed_profile_see_nothing_until_it_is_back(tmp_path: Path) -> None:
    config = saved(tmp_path, p=LISTER)
    async with Client(command(config, "serve", "--profile", "p"), cache=None) as client:
        await until_shown(client, LISTING)
        saved(tmp_path, other=READER)
        await until_shown(client, set())
        saved(tmp_path, p=LISTER)
        await until_shown(client, LISTING)


@pytest.mark.parametrize(
    "edited", [{**READER}, {**LISTER, "expose": "search"}], ids=["other tools", "another exposure"]
)
async def test_clients_are_told_that_their_list_has_changed(tmp_path: Path, edited: dict[str, Any]) -> None:
    announced = anyio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            announced.set()

    connection = command(saved(tmp_path, p=LISTER), "serve", "--profile", "p")
    async with Client(connection, mode="legacy", message_handler=on_message) as client:
        await until_shown(client, LISTING)
        announced = anyio.Event()
        saved(tmp_path, p=edited)
        with anyio.fail_after(DEADLINE):
            await announced.wait()


async def test_an_edit_with_a_mistake_changes_nothing_and_is_explained(tmp_path: Path) -> None:
    async with (
        listening(saved(tmp_path, p=LISTER)) as server,
        client_at(f"{server.url}/p") as client,
    ):
        await until_shown(client, LISTING)
        saved(tmp_path, p={**READER, "alow": ["*"]}, q=READER)
        await until(lambda: "config.not_reloaded" in server.log)
        assert 'profiles.p.alow: is no known key; did you mean \\"allow\\"?' in server.log
        assert await shown(client) == LISTING
        assert await status(server, "/mcp/q", "") == 404


async def test_over_http_profiles_come_and_go_and_the_others_keep_their_sessions(tmp_path: Path) -> None:
    async with (
        listening(saved(tmp_path, p=LISTER)) as server,
        client_at(f"{server.url}/p") as kept,
        client_at(server.url) as anyone,
    ):
        await until_shown(kept, LISTING)
        assert await status(server, "/mcp/q", "") == 404
        saved(tmp_path, p=LISTER, q=READER)
        await until_status(server, "/mcp/q", "", 200)
        async with client_at(f"{server.url}/q") as added:
            await until_shown(added, READING)
        saved(tmp_path, p=LISTER)
        await until_status(server, "/mcp/q", "", 404)
        assert await shown(kept) == LISTING
        assert await shown(anyone) > READING


async def test_what_tokens_let_in_follows_the_profiles(tmp_path: Path) -> None:
    own = {"tokens": [ANYONES]}
    reader, writer = {**READER, "tokens": [READERS]}, {"tokens": [WRITERS]}
    async with listening(saved(tmp_path, own, reader=reader)) as server:
        assert await status(server, "/mcp", WRITERS) == 401
        saved(tmp_path, own, reader=reader, writer=writer)
        await until_status(server, "/mcp/writer", WRITERS, 200)
        assert await status(server, "/mcp/reader", WRITERS) == 403
        saved(tmp_path, own, writer={"tokens": [READERS]})
        await until_status(server, "/mcp/writer", READERS, 200)
        assert await status(server, "/mcp", WRITERS) == 401
        assert await status(server, "/mcp/reader", ANYONES) == 404
        assert await status(server, "/mcp", ANYONES) == 200


@pytest.mark.parametrize("kept", [{}, {"reader": {**READER, "tokens": [WRITERS]}}], ids=["profile", "token"])
async def test_open_streams_end_with_what_let_them_in(tmp_path: Path, kept: dict[str, Any]) -> None:
    own = {"tokens": [ANYONES]}
    config = saved(tmp_path, own, reader={**READER, "tokens": [READERS]})
    async with (
        listening(config) as server,
        raw(server, READERS) as http,
        raw(server, ANYONES) as other,
        http.stream("GET", "/sse") as sse,
        other.stream("GET", "/sse") as others,
    ):
        opened = await http.post("/mcp", json=INITIALIZE)
        session = {**ACCEPT, **bearing(READERS), "mcp-session-id": opened.headers["mcp-session-id"]}
        async with http.stream("GET", "/mcp", headers=session) as news:
            assert (sse.status_code, others.status_code, news.status_code) == (200, 200, 200)
            saved(tmp_path, own, **kept)
            with anyio.fail_after(DEADLINE):
                async for _ in sse.aiter_bytes():
                    pass
                async for _ in news.aiter_bytes():
                    pass
        with anyio.move_on_after(0.2) as waited:
            async for _ in others.aiter_bytes():
                pass
        assert waited.cancelled_caught
        assert await status(server, "/mcp", READERS) == 401


async def test_a_server_that_anyone_could_call_asks_for_tokens_once_a_profile_has_one(
    tmp_path: Path,
) -> None:
    async with listening(saved(tmp_path, p=LISTER)) as server, raw(server) as http:
        assert (await http.post("/mcp", json=INITIALIZE)).status_code == 200
        saved(tmp_path, p={**LISTER, "tokens": [READERS]})
        await until_status(server, "/mcp", "", 401)
        assert await status(server, "/mcp", READERS) == 200
        saved(tmp_path, p=LISTER)
        await until(lambda: "server.nobody_let_in" in server.log)
        assert await status(server, "/mcp", READERS) == 401
        assert await status(server, "/mcp", "") == 401


async def test_an_edit_that_would_let_other_machines_in_changes_nothing(tmp_path: Path) -> None:
    beyond = {"host": "0.0.0.0"}  # noqa: S104  that is what is tried
    async with listening(saved(tmp_path, beyond, p={**LISTER, "tokens": [READERS]})) as server:
        server.origin = server.origin.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        saved(tmp_path, beyond, q=READER)
        await until(lambda: "config.not_reloaded" in server.log)
        assert "lets other machines call every tool" in server.log
        assert await status(server, "/mcp/p", READERS) == 200


async def test_a_hundred_edits_leave_the_server_answering(tmp_path: Path) -> None:
    async with listening(saved(tmp_path, p=LISTER)) as server, client_at(server.url) as client:
        for number in range(10):
            saved(tmp_path, **{f"p{number}-{each}": READER for each in range(10)})
            await until_status(server, f"/mcp/p{number}-9", "", 200)
        assert await shown(client) > READING
        async with httpx2.AsyncClient(base_url=server.origin, timeout=30) as http:
            assert (await http.get("/readyz")).json()["ready"]
