"""A small OAuth issuer: keys at /keys, introspection at /introspect, and tokens for the asking."""

import base64
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

RESOURCE = "https://tools.example.com/mcp"
SCOPE = "tools:call"
CLIENT_ID, CLIENT_SECRET = "switchboard", "between us two"


@dataclass
class Issuer:
    """Where it is, what it signs with, and which opaque tokens it knows."""

    url: str
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(
        default_factory=lambda: {"first": ec.generate_private_key(ec.SECP256R1())}
    )
    opaque: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Those of a good token, with some changed; None takes one away."""
        good = {
            "iss": self.url,
            "aud": RESOURCE,
            "sub": "ada",
            "client_id": "app",
            "scope": f"{SCOPE} other",
            "exp": int(time.time()) + 600,
        }
        return {key: value for key, value in (good | changed).items() if value is not None}

    def token(self, key_id: str = "first", **changed: Any) -> str:
        """A signed token."""
        claims = self.claims(**changed)
        return jwt.encode(claims, self.keys[key_id], "ES256", headers={"kid": key_id})

    def key_set(self) -> dict[str, Any]:
        """The public keys, as they are published."""
        signing = jwt.get_algorithm_by_name("ES256")
        return {
            "keys": [
                {
                    **signing.to_jwk(key.public_key(), as_dict=True),
                    "kid": key_id,
                    "alg": "ES256",
                    "use": "sig",
                }
                for key_id, key in self.keys.items()
            ]
        }


@contextmanager
def issuing() -> Generator[Issuer]:
    """An issuer that answers while the block lasts."""
    issuer = Issuer("")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, issuer)) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


class _Answers(BaseHTTPRequestHandler):
    def __init__(self, issuer: Issuer, *args: Any) -> None:
        self.issuer = issuer
        super().__init__(*args)

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/keys" else 404, self.issuer.key_set())

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if self.headers["authorization"] != f"Basic {pair}":
            self._answer(401, {"error": "invalid_client"})
        else:
            known = self.issuer.opaque.get(form["token"][0])
            self._answer(200, {"active": True, **known} if known else {"active": False})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        pass
