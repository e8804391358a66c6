"""Profiles over HTTP: chosen by the path, or by the token, which may be bound to one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from tests.http.listening import ACCEPT, INITIALIZE, Listening, bearing, listening
from tests.serving import ERAS, configured, demo

ANYONES = "anyones-0123456789abcdef"
READERS = "readers-0123456789abcdef"
READING = {"notes__search_notes", "notes__list_notes", "notes__read_note"}
OWN = {"do", "plan", "read_result"}


def config(folder: Path, *, tokens: bool) -> Path:
    reader: dict[str, Any] = {"read_only": True}
    if tokens:
        reader["tokens"] = [READERS]
    profiles: dict[str, dict[str, Any]] = {"profiles.reader": reader, "profiles.nobody": {"allow": []}}
    return configured(
        folder,
        {"notes": demo("notes", "--database", str(folder / "notes.sqlite"))},
        server={"tokens": [ANYONES]} if tokens else {},
        **profiles,
    )


@asynccontextmanager
async def client_at(url: str, era: str = "legacy", token: str = "") -> AsyncGenerator[Client]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client


async def shown(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools} - OWN


@pytest.mark.parametrize("era", ERAS)
async def test_the_path_names_the_profile(tmp_path: Path, era: str) -> None:
    async with (
        listening(config(tmp_path, tokens=False)) as server,
        client_at(server.url, era) as anyone,
        client_at(f"{server.url}/reader", era) as reader,
        client_at(f"{server.url}/nobody", era) as nobody,
    ):
        assert await shown(anyone) > READING
        assert await shown(reader) == READING
        assert await shown(nobody) == set()
        assert not (await anyone.call_tool("notes__add_note", {"title": "x", "text": "y"})).is_error
        assert not (await reader.call_tool("notes__list_notes", {})).is_error


async def test_the_older_transport_has_profiles_too(tmp_path: Path) -> None:
    async with listening(config(tmp_path, tokens=False)) as server:
        async with Client(sse_client(f"{server.origin}/sse/reader"), mode="legacy") as client:
            assert await shown(client) == READING
        async with Client(sse_client(f"{server.origin}/sse"), mode="legacy") as client:
            assert await shown(client) > READING


@pytest.mark.parametrize("era", ERAS)
async def test_a_token_may_be_bound_to_a_profile(tmp_path: Path, era: str) -> None:
    async with listening(config(tmp_path, tokens=True)) as server:
        for path, token, seen in (
            ("", ANYONES, None),
            ("/reader", ANYONES, READING),
            ("", READERS, READING),
            ("/reader", READERS, READING),
        ):
            async with client_at(f"{server.url}{path}", era, token) as client:
                found = await shown(client)
                assert found == seen if seen else found > READING


async def status(server: Listening, path: str, token: str) -> int:
    headers = ACCEPT | bearing(token)
    async with httpx2.AsyncClient(timeout=30) as http:
        answer = await http.post(f"{server.origin}{path}", json=INITIALIZE, headers=headers)
        return answer.status_code


async def test_no_token_reaches_more_than_it_is_for(tmp_path: Path) -> None:
    async with listening(config(tmp_path, tokens=True)) as server:
        assert await status(server, "/mcp/nobody", READERS) == 403
        assert await status(server, "/mcp/reader", "stranger-0123456789abcdef") == 401
        assert await status(server, "/mcp/nosuch", ANYONES) == 404
        assert await status(server, "/mcp/nobody", ANYONES) == 200


async def test_a_session_cannot_be_taken_through_another_profile(tmp_path: Path) -> None:
    async with listening(config(tmp_path, tokens=False)) as server, httpx2.AsyncClient(timeout=30) as http:
        opened = await http.post(server.url, json=INITIALIZE, headers=ACCEPT)
        session = {**ACCEPT, "mcp-session-id": opened.headers["mcp-session-id"]}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        answer = await http.post(f"{server.url}/reader", json=listing, headers=session)
        assert answer.status_code == 404
