"""The measuring client over HTTP really calls, several at a time."""

from pathlib import Path

import pytest

from benchmarks.contestants import contestants, end_left_behind, environment, upstreams
from benchmarks.raw_client import ServerFailedError
from benchmarks.raw_http_client import serving_http
from tests.e2e.test_http import free_port


async def test_the_reference_servers_calls_are_answered_and_timed(tmp_path: Path) -> None:
    direct, port = contestants()[0], free_port()
    assert direct.http_command
    command = direct.http_command(tmp_path, upstreams(("everything",), tmp_path), port)
    async with serving_http(command, environment(tmp_path, port), tmp_path, port) as client:
        await client.initialize()
        assert "echo" in await client.tools()
        call = {"name": "echo", "arguments": {"message": "hello"}}
        took = await client.call_repeatedly(call, 10, in_flight=4, seconds=30)
        with pytest.raises(ServerFailedError, match="nonsense"):
            await client.call({"name": "nonsense"})
    assert len(took) == 10
    assert await end_left_behind(tmp_path) == 0


async def test_a_server_that_never_listens_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match="before it listened"):
        async with serving_http(["false"], environment(tmp_path), tmp_path, free_port()):
            pass
