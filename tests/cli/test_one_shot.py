"""What single commands start: only what they need, and what they say of an upstream that does not run."""

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

import anyio

from mcp_proxy.cli import Exit
from tests.serving import command, configured, script
from tests.upstream_options.parts import counted, starts_in, until


async def ran(config: Path, *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `switchboard ARGS`."""
    start = command(config, *args)
    done = await anyio.run_process(
        [start.command, *start.args], env={**(start.env or {}), "COLUMNS": "500"}, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_a_call_starts_its_own_upstream_alone(tmp_path: Path) -> None:
    config = configured(tmp_path, {name: counted(tmp_path / name) for name in ("x", "x__y", "z")})
    for expected in ([1, 1, 0], [2, 2, 0]):
        code, out, _ = await ran(config, "call", "x__y__pid")
        assert (code, out.strip().isdigit()) == (Exit.DONE, True)
        assert [starts_in(tmp_path / name) for name in ("x", "x__y", "z")] == expected


async def test_tools_that_are_known_are_listed_without_starting_anything_unless_told(tmp_path: Path) -> None:
    lazy = {"x": counted(tmp_path / "x"), "y": counted(tmp_path / "y", lazy=True)}
    config = configured(tmp_path, lazy)
    listed = [(await ran(config, "tools", *args))[1] for args in ((), (), ("--refresh",))]
    assert len(set(listed)) == 1
    assert listed[0].count("__pid") == 2
    assert [starts_in(tmp_path / name) for name in lazy] == [2, 2]


async def test_a_task_starts_what_it_calls_and_nothing_else_that_is_known(tmp_path: Path) -> None:
    config = configured(
        tmp_path, {"x": counted(tmp_path / "x", "launch_rockets"), "y": counted(tmp_path / "y")}
    )
    await ran(config, "tools")
    await ran(config, "do", "launch rockets", "--yes")
    assert starts_in(tmp_path / "y") == 1


async def test_a_call_of_an_upstream_that_is_down_says_so_and_why(tmp_path: Path) -> None:
    lacking = {"command": sys.executable, "env": {"A": "${NOT_SET_ANYWHERE}"}}
    bad = {"gone": {"command": "no-such-command-anywhere"}, "lacking": lacking, "echo": script("echo")}
    config = configured(tmp_path, bad)
    code, out, err = await ran(config, "call", "gone__x")
    assert (code, out) == (Exit.FAILED, "")
    assert "upstream 'gone' is not available: 'no-such-command-anywhere' was not found" in err
    code, out, err = await ran(config, "call", "lacking__x")
    assert (code, out) == (Exit.FAILED, "")
    assert "upstream 'lacking' is not available: the environment variable NOT_SET_ANYWHERE is not set" in err
    code, out, err = await ran(config, "call", "echo__gone")
    assert (code, out) == (Exit.USAGE, "")
    assert "there is no tool 'echo__gone'" in err


async def test_upstreams_that_lack_a_variable_are_told_beside_those_that_run(tmp_path: Path) -> None:
    lacking = {"url": "https://h/mcp", "headers": {"Authorization": "Bearer ${NOT_SET_ANYWHERE}"}}
    config = configured(tmp_path, {"lacking": lacking, "bad": script("bad_schema"), "echo": script("echo")})
    code, out, _ = await ran(config, "upstreams", "--json")
    told = {status["upstream"]: status for status in json.loads(out)}
    assert code == Exit.FAILED
    assert {name: status["state"] for name, status in told.items()} == {
        "lacking": "down",
        "bad": "ready",
        "echo": "ready",
    }
    assert (
        "NOT_SET_ANYWHERE is not set (upstreams.lacking.headers.Authorization)" in told["lacking"]["reason"]
    )
    assert {"method": "tools/list", "name": "no_type", "reason": "inputSchema.type: Field required"} in told[
        "bad"
    ]["left_out"]


async def test_a_profile_that_shows_nothing_says_what_in_it_may_be_the_reason(tmp_path: Path) -> None:
    profile = {"allow": ["ehco/*"]}
    config = configured(tmp_path, {"echo": script("echo")}, **{"profiles.r": profile})
    code, out, err = await ran(config, "tools", "--profile", "r")
    assert (code, out) == (Exit.DONE, "")
    assert "the profile r shows none of" in err
    assert "profile r: 'ehco/*' matches nothing; did you mean 'echo/*'?" in err


async def test_ctrl_c_twice_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    waits = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
    config = configured(tmp_path, {"x": {"command": sys.executable, "args": ["-c", waits]}})
    start = command(config, "upstreams")
    async with await anyio.open_process([start.command, *start.args], env=start.env) as process:
        await until(begun.exists)
        process.send_signal(signal.SIGINT)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        assert process.stderr
        said = b"".join([piece async for piece in process.stderr])
        assert await process.wait() == 128 + signal.SIGINT
    assert b"Traceback" not in said
    assert b"RuntimeError" not in said


async def test_a_configuration_that_is_refused_is_no_matter_of_usage(tmp_path: Path) -> None:
    config = tmp_path / "switchboard.toml"
    config.write_text("[upstreams.x]\ncommand = 5\n", encoding="utf-8")
    for said in ("tools", "upstreams", "pins", "log", "serve"):
        code, out, err = await ran(config, said)
        assert (code, out) == (Exit.USAGE, "")
        assert "should be a string" in err
        assert "Usage:" not in err
    code, _, err = await ran(config, "tools", "--nosuch")
    assert (code, "Usage:" in err) == (Exit.USAGE, True)
