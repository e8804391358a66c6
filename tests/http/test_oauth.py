"""Access tokens of an OAuth issuer, of which Switchboard is a protected resource."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.http.issuer import CLIENT_ID, CLIENT_SECRET, RESOURCE, SCOPE, Issuer, issuing
from tests.http.listening import INITIALIZE, Listening, listening, over_http, raw
from tests.serving import configured, script, text_of


@pytest.fixture(scope="module")
def issuer() -> Generator[Issuer]:
    with issuing() as started:
        yield started


def protected(issuer: Issuer, **how: str) -> dict[str, Any]:
    return {"oauth": {"issuer": issuer.url, "resource_url": RESOURCE, "required_scopes": [SCOPE], **how}}


@pytest.fixture(scope="module")
async def server(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Listening]:
    table = protected(issuer, jwks_url=f"{issuer.url}/keys")
    config = configured(tmp_path_factory.mktemp("oauth"), {"echo": script("echo")}, server=table)
    async with listening(config, "--log-level", "debug") as started:
        yield started


async def status_of(server: Listening, token: str) -> int:
    async with raw(server, token) as http:
        return (await http.post("/mcp", json=INITIALIZE)).status_code


async def test_a_client_with_a_token_of_the_issuer_is_served(server: Listening, issuer: Issuer) -> None:
    token = issuer.token()
    async with over_http(server, token) as client:
        assert text_of(await client.call_tool("echo__echo", {"text": "let in"})) == "let in"
    assert token not in server.log


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"aud": ["https://other.example", RESOURCE]}, 200),
        ({"scope": None, "scp": [SCOPE]}, 200),
        ({"aud": "https://other.example/mcp"}, 401),
        ({"aud": None}, 401),
        ({"iss": "https://impostor.example"}, 401),
        ({"exp": 1_000_000_000}, 401),
        ({"exp": None}, 401),
        ({"nbf": 4_000_000_000}, 401),
        ({"client_id": None, "sub": None}, 401),
        ({"scope": 7}, 401),
        ({"scope": "other"}, 403),
        ({"scope": None}, 403),
    ],
    ids=str,
)
async def test_a_token_counts_by_its_claims(
    server: Listening, issuer: Issuer, changed: dict[str, Any], status: int
) -> None:
    assert await status_of(server, issuer.token(**changed)) == status


async def test_a_token_counts_only_with_the_issuers_signature(server: Listening, issuer: Issuer) -> None:
    claims, header = issuer.claims(), {"kid": "first"}
    public = issuer.keys["first"].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    good = issuer.token()
    forged = [
        jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header),
        jwt.encode(claims, public, "HS256", headers=header),
        jwt.encode(claims, "", "none", headers=header),
        jwt.encode(claims, issuer.keys["first"], "ES256", headers={"kid": "unknown"}),
        jwt.encode(claims, issuer.keys["first"], "ES256"),
        good.rpartition(".")[0] + ".",
        "no.jwt.atall",
    ]
    assert [await status_of(server, token) for token in forged] == [401] * len(forged)
    assert await status_of(server, good) == 200


async def test_a_new_key_of_the_issuer_is_found(server: Listening, issuer: Issuer) -> None:
    issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
    with anyio.fail_after(20):
        while await status_of(server, issuer.token("second")) != 200:
            pass
    assert await status_of(server, issuer.token("first")) == 200


async def test_a_client_without_a_token_learns_where_to_get_one(server: Listening, issuer: Issuer) -> None:
    async with raw(server) as http:
        refused = await http.post("/mcp", json=INITIALIZE)
        metadata = "/.well-known/oauth-protected-resource/mcp"
        told = (await http.get(metadata)).json()
    assert refused.status_code == 401
    assert f'resource_metadata="https://tools.example.com{metadata}"' in refused.headers["www-authenticate"]
    assert told["resource"] == RESOURCE
    assert [url.rstrip("/") for url in told["authorization_servers"]] == [issuer.url]
    assert told["scopes_supported"] == [SCOPE]


async def test_while_nobody_can_say_what_a_token_is_worth_the_client_is_told_to_come_again(
    tmp_path: Path,
) -> None:
    with issuing() as gone:
        token = gone.token()
        table = protected(gone, jwks_url=f"{gone.url}/keys")
    async with listening(configured(tmp_path, {"echo": script("echo")}, server=table)) as server:
        assert await status_of(server, token) == 503
        assert await status_of(server, "") == 401
    assert "oauth.keys_unavailable" in server.log


async def test_tokens_that_only_the_issuer_can_read_are_shown_to_it(tmp_path: Path, issuer: Issuer) -> None:
    table = protected(
        issuer,
        introspection_url=f"{issuer.url}/introspect",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    issuer.opaque |= {
        "good": issuer.claims(),
        "elsewhere": issuer.claims(aud="https://other.example"),
        "old": issuer.claims(exp=1_000_000_000),
        "weak": issuer.claims(scope="other"),
    }
    async with listening(configured(tmp_path, {"echo": script("echo")}, server=table)) as server:
        statuses = {token: await status_of(server, token) for token in (*issuer.opaque, "unknown")}
        del issuer.opaque["good"]
        revoked = await status_of(server, "good")
    assert statuses == {"good": 200, "elsewhere": 401, "old": 401, "weak": 403, "unknown": 401}
    assert revoked == 401
