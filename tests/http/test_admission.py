"""Who is let in over HTTP: by tokens, and by the address they call."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.http.listening import (
    ACCEPT,
    INITIALIZE,
    PING,
    Listening,
    bearing,
    listening,
    over_http,
    over_sse,
    raw,
    refused,
    until_ready,
)
from tests.serving import ERAS, configured, script, text_of

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "requests.json").read_text(encoding="utf-8")
)

TOKENS = {
    "none": "",
    "first": "first-of-the-made-up-tokens",
    "second": "second-of-the-made-up-tokens",
    "wrong": "never-given-to-anybody-at-all",
    "longer": "first-of-the-made-up-tokens-",
    "foreign": "first-of-the-made-up-tökens",
}

PROTECTED = {
    "tokens": [TOKENS["first"], TOKENS["second"]],
    "allowed_hosts": ["tools.example.com"],
    "allowed_origins": ["https://app.example.com", "http://dev.example.com:*"],
    "max_body": "64 KiB",
}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Listening]:
    config = configured(tmp_path_factory.mktemp("door"), {"echo": script("echo")}, server=PROTECTED)
    async with listening(config, "--log-level", "debug") as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_a_request_is_answered_by_who_sends_it_and_where_to(
    server: Listening, case: dict[str, Any]
) -> None:
    headers = ACCEPT | bearing(TOKENS[case["token"]]) | case.get("headers", {})
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    method = case.get("method", "POST")
    body = INITIALIZE | {"padding": "x" * case.get("padding", 0)} if method == "POST" else None
    async with httpx2.AsyncClient(base_url=server.origin) as http:
        response = await http.request(method, case.get("path", "/mcp"), json=body, headers=encoded)
    assert response.status_code == case["status"]
    assert response.headers.get("www-authenticate", "").startswith("Bearer ") == (case["status"] == 401)


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_with_a_token_is_served(server: Listening, era: str) -> None:
    async with over_http(server, TOKENS["second"], mode=era) as client:
        assert text_of(await client.call_tool("echo__echo", {"text": "let in"})) == "let in"


async def test_a_client_of_the_old_transport_with_a_token_is_served(server: Listening) -> None:
    async with over_sse(server, TOKENS["first"]) as client:
        assert text_of(await client.call_tool("echo__echo", {"text": "let in"})) == "let in"


async def test_a_session_belongs_to_the_token_that_opened_it(server: Listening) -> None:
    async with raw(server, TOKENS["first"]) as one, raw(server, TOKENS["second"]) as other:
        opened = await one.post("/mcp", json=INITIALIZE)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        assert (await other.post("/mcp", json=PING, headers=session)).status_code == 404
        assert (await one.post("/mcp", json=PING, headers=session)).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example.com", 200),
        ("http://dev.example.com:5173", 200),
        ("https://evil.example", 400),
        ("https://app.example.com.evil.example", 400),
        ("http://localhost:5173", 400),
    ],
)
async def test_a_browser_is_told_which_pages_may_call(server: Listening, origin: str, status: int) -> None:
    asking = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,mcp-protocol-version",
    }
    async with raw(server) as http:
        told = await http.options("/mcp", headers=asking)
    assert told.status_code == status
    assert (told.headers.get("access-control-allow-origin") == origin) == (status == 200)


async def test_a_page_that_may_call_sees_its_session(server: Listening) -> None:
    async with raw(server, TOKENS["first"]) as http:
        opened = await http.post("/mcp", json=INITIALIZE, headers={"origin": "https://app.example.com"})
    assert opened.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "mcp-session-id" in opened.headers["access-control-expose-headers"].lower()


async def test_names_of_upstreams_are_for_those_with_a_token(server: Listening) -> None:
    await until_ready(server)
    counted = {"ready": True, "upstreams": {"ready": 1}}
    async with raw(server) as stranger, raw(server, TOKENS["first"]) as friend:
        told, known = await stranger.get("/readyz"), await friend.get("/readyz")
    assert (told.status_code, told.json()) == (200, counted)
    assert (known.status_code, known.json()) == (
        200,
        {**counted, "states": {"echo": "ready"}, "planners": {"pocket": "is asked"}},
    )


async def test_tokens_are_never_logged_and_refusals_say_what_to_do(tmp_path: Path) -> None:
    config = configured(tmp_path, {"echo": script("echo")}, server=PROTECTED)
    async with listening(config, "--log-level", "debug") as server:
        for token in (TOKENS["first"], TOKENS["wrong"]):
            async with raw(server, token) as http:
                await http.post("/mcp", json=INITIALIZE)
                assert (await http.get("/mcp", headers={"host": "evil.example"})).status_code == 421
    assert "allowed_hosts" in server.log
    assert not [token for token in TOKENS.values() if token and token in server.log]


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({}, ("--host", "0.0.0.0"), ("server.host", "allow_anonymous = true")),  # noqa: S104  that is the point
        ({}, ("--host", "::"), ("server.host", "tokens")),
        ({"tokens": ["${MADE_UP:-}"]}, (), ("server.tokens", "openssl rand -hex 32")),
        ({"tokens": ["with a space in the middle"]}, (), ("server.tokens", "cannot stand in a header")),
        ({"max_body": 0}, (), ("server.max_body", "4 MiB")),
        ({"oauth": {"issuer": "https://a.example", "resource_url": "https://b.example/mcp"}}, (), ("server.oauth", "jwks_url")),
    ],
    ids=["every interface", "every interface of IPv6", "an empty token", "no header value", "no body", "half of OAuth"],
)  # fmt: skip
async def test_what_would_let_everyone_in_or_nobody_does_not_start(
    tmp_path: Path, table: dict[str, Any], options: tuple[str, ...], says: tuple[str, ...]
) -> None:
    told = await refused(configured(tmp_path, {"echo": script("echo")}, server=table), *options)
    assert all(part in told for part in says), told
    assert "Traceback" not in told
    assert not [token for token in table.get("tokens", ()) if token in told]


async def test_anyone_may_come_from_anywhere_if_that_is_what_was_asked_for(tmp_path: Path) -> None:
    table = {"host": "0.0.0.0", "allow_anonymous": True}  # noqa: S104  asked for
    async with (
        listening(configured(tmp_path, {"echo": script("echo")}, server=table)) as server,
        raw(server) as http,
    ):
        local = server.origin.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        assert (await http.post(f"{local}/mcp", json=INITIALIZE)).status_code == 200
