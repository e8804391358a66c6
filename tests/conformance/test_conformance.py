"""The official conformance suite: whatever a server conforms to, it conforms to behind Switchboard as well."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
import pytest

from tests.conformance.suite import SUITES, Report, Suite, judge
from tests.e2e.test_http import free_port, listening, until_open
from tests.serving import configured

_ROOT = Path(__file__).parents[2]
_UPSTREAM = [sys.executable, "-m", "tests.conformance.upstream"]

_FAILING = frozenset({"FAILURE", "WARNING"})


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
async def proxied(folder: Path, transport: str) -> AsyncGenerator[str]:
    """The URL of a Switchboard in front of that server, with no prefix to its names."""
    if transport == "stdio":
        behind: dict[str, Any] = {"command": _UPSTREAM[0], "args": _UPSTREAM[1:], "cwd": str(_ROOT)}
        async with listening(configured(folder, {"only": {**behind, "prefix": ""}})) as url:
            yield url
        return
    async with (
        upstream() as far,
        listening(configured(folder, {"only": {"url": far, "prefix": ""}})) as url,
    ):
        yield url


@pytest.fixture(scope="module")
async def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[Suite, Report]:
    async with upstream() as url:
        return {suite: await judge(suite, url, tmp_path_factory.mktemp("direct")) for suite in SUITES}


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("suite", SUITES, ids=str)
async def test_every_check_has_the_same_verdict_through_switchboard(
    suite: Suite, transport: str, direct: dict[Suite, Report], tmp_path: Path
) -> None:
    assert direct[suite].conforms, direct[suite].output
    async with proxied(tmp_path, transport) as url:
        through = await judge(suite, url, tmp_path / "through")
    expected = direct[suite].verdicts
    changed = {
        check: (sorted(expected.get(check, ())), sorted(statuses))
        for check, statuses in through.verdicts.items()
        if statuses != expected.get(check)
    }
    assert not changed
    assert through.verdicts.keys() == expected.keys()
    assert through.conforms, through.output
