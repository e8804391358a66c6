"""The official conformance suite: whatever a server conforms to, it conforms to behind Switchboard as well."""

import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import pytest

from tests.conformance.suite import HANDSHAKE, STATELESS, Report, Suite, judge
from tests.http.listening import free_port, listening, until_open
from tests.serving import configured

_ROOT = Path(__file__).parents[2]
_UPSTREAM = [sys.executable, "-m", "tests.conformance.upstream"]


@asynccontextmanager
async def upstream() -> AsyncGenerator[str]:
    """The URL of the server under test, without anything in front of it."""
    port = free_port()
    command = [*_UPSTREAM, "--http", str(port)]
    async with await anyio.open_process(command, cwd=_ROOT, stdout=DEVNULL, stderr=DEVNULL) as process:
        with anyio.fail_after(60):
            await until_open(port)
        yield f"http://127.0.0.1:{port}/mcp"
        process.terminate()


@asynccontextmanager
async def proxied(folder: Path, transport: str, protocol: str) -> AsyncGenerator[str]:
    """The URL of a Switchboard in front of that server, with no prefix to its names."""
    async with AsyncExitStack() as stack:
        way: dict[str, Any] = {"command": _UPSTREAM[0], "args": _UPSTREAM[1:], "cwd": str(_ROOT)}
        if transport == "http":
            way = {"url": await stack.enter_async_context(upstream())}
        config = configured(folder, {"only": {**way, "prefix": "", "protocol": protocol}})
        server = await stack.enter_async_context(listening(config))
        yield server.url


@pytest.fixture(scope="module")
async def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[Suite, Report]:
    async with upstream() as url:
        folder = tmp_path_factory.mktemp("direct")
        return {
            suite: await judge(suite, url, folder / str(number))
            for number, suite in enumerate((*HANDSHAKE, *STATELESS))
        }


# A server of the handshake era has no way to say what the stateless suite wants to hear.
@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize(
    ("suite", "protocol"),
    [
        *((suite, protocol) for suite in HANDSHAKE for protocol in ("legacy", "auto")),
        *((suite, "auto") for suite in STATELESS),
    ],
    ids=str,
)
async def test_every_check_has_the_same_verdict_through_switchboard(
    suite: Suite, protocol: str, transport: str, direct: dict[Suite, Report], tmp_path: Path
) -> None:
    assert direct[suite].conforms, direct[suite].output
    async with proxied(tmp_path, transport, protocol) as url:
        through = await judge(suite, url, tmp_path / "through")
    expected = direct[suite].verdicts
    assert len({scenario for scenario, _ in expected}) > 30
    changed = {
        check: (sorted(expected.get(check, ())), sorted(statuses))
        for check, statuses in through.verdicts.items()
        if statuses != expected.get(check)
    }
    assert not changed
    assert through.verdicts.keys() == expected.keys()
    assert through.conforms, through.output
