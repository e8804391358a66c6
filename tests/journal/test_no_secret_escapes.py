"""Thirty-two kinds of secrets through real traffic: none of them is in a log, the journal, or any file of state."""

import json
from pathlib import Path
from subprocess import run
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from mcp_proxy.redaction import REDACTED, compile_pattern, hide_also, is_random, redact_text
from tests.http.listening import listening
from tests.serving import command, configured, script, text_of

KINDS = json.loads((Path(__file__).parent / "secret_kinds.json").read_text())

OF_CONFIG = {
    "env": "plain-words-but-secret",
    "header": "another-plain-secret",
    "token": "the-token-of-a-client-77",
}
"""Credentials without any shape, known only because they stand in the configuration."""


def config(folder: Path, *upstream_arguments: str) -> Path:
    leaky = {**script("leaky", *upstream_arguments), "env": {"LEAKY_API_KEY": OF_CONFIG["env"]}}
    far = {"url": "http://127.0.0.1:9/mcp", "headers": {"X-Own": f"Key {OF_CONFIG['header']}"}}
    tables: dict[str, Any] = {
        "privacy": {"redact": ["ACME-[0-9]{8}"]},
        "server": {"tokens": [OF_CONFIG["token"]]},
        "results": {"path": str(folder / "kept"), "budget": 0},
    }
    return configured(folder, {"leaky": leaky, "far": far}, **tables)


def leaks(text: str) -> list[str]:
    return [each for each in (*KINDS["fragments"], *OF_CONFIG.values()) if each in text]


def leaks_by_file(folder: Path, configuration: Path) -> dict[str, list[str]]:
    files = [file for file in folder.rglob("*") if file.is_file() and file != configuration]
    return {file.name: leaks(file.read_bytes().decode("utf-8", "replace")) for file in files}


async def call(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    try:
        await client.call_tool(f"leaky__{tool}", arguments)
    except MCPError as error:
        assert tool == "refuse", error  # noqa: PT017


async def test_no_secret_is_in_any_log_the_journal_or_a_file_of_state(tmp_path: Path) -> None:
    path = config(tmp_path)
    headers = {"authorization": f"Bearer {OF_CONFIG['token']}"}
    async with listening(path, "--log-level", "debug") as server:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            for kind, secret in KINDS["bare"].items():
                for tool in ("say", "refuse", "fail"):
                    await call(
                        client, tool, {"note": secret, "nested": [{"kind": kind, "in": f"a {secret} b"}]}
                    )
                await client.call_tool("do", {"task": f"say {secret}"})
            said = text_of(await client.call_tool("leaky__say", {"note": OF_CONFIG["env"]}))
            assert OF_CONFIG["env"] in said  # what a tool answers is its client's
            await call(client, "crash", {"password": "pl4nted", "note": OF_CONFIG["header"]})
        log = server.log
    assert log.count("upstream.stderr") > 90
    found = leaks_by_file(tmp_path, path)
    assert "journal.sqlite" in found
    assert {name: what for name, what in {**found, "log": leaks(log)}.items() if what} == {}


async def test_an_error_says_nothing_of_a_secret_that_did_not_fit_or_that_a_server_died_with(
    tmp_path: Path,
) -> None:
    headers = {"authorization": f"Bearer {OF_CONFIG['token']}"}
    async with (
        listening(config(tmp_path)) as server,
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(server.url, http_client=http)) as client,
    ):
        arguments = {"value": "x", "api_key": "pl4nted"}
        result = await client.call_tool("leaky__choosy", arguments)
        assert "/api_key" in text_of(result)
        assert leaks(text_of(result)) == []


@pytest.mark.parametrize("verb", ["doctor", "upstreams"])
def test_what_a_dying_server_said_is_shown_without_its_secrets(tmp_path: Path, verb: str) -> None:
    start = command(config(tmp_path, "dies"), verb)
    done = run([start.command, *start.args], env=start.env, capture_output=True, text=True, check=False)
    assert "starting with" in done.stdout + done.stderr
    assert leaks(done.stdout + done.stderr) == []


@pytest.mark.parametrize("kind", KINDS["bare"])
def test_each_kind_is_hidden_in_the_middle_of_any_text(kind: str) -> None:
    hide_also(["ACME-[0-9]{8}"], ())
    try:
        for around in ("{}", "got {} from it", '{{"note": "{}"}}', "x={}\n"):
            assert leaks(redact_text(around.format(KINDS["bare"][kind]))) == []
    finally:
        hide_also((), ())


def test_what_is_known_is_hidden_wherever_it_stands_the_longest_first() -> None:
    hide_also((), ["secret-one", "secret-one-and-more"])
    try:
        assert redact_text("a secret-one-and-more b secret-one") == f"a {REDACTED} b {REDACTED}"
    finally:
        hide_also((), ())


def test_a_pattern_that_would_take_for_ever_elsewhere_takes_no_time() -> None:
    hide_also([r"(a+)+$", r"(x*)*y"], ())
    try:
        assert redact_text("a" * 30_000 + "!") == "a" * 30_000 + "!"
    finally:
        hide_also((), ())


@pytest.mark.parametrize("pattern", ["(", "", "a*", "(?=a)", r"(a)\1"])
def test_a_pattern_that_is_none_or_hides_everything_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern(pattern)


def test_source_code_and_documents_hold_next_to_nothing_that_looks_random() -> None:
    root = Path(__file__).parent.parent.parent
    paths = [*root.glob("mcp_proxy/**/*.py"), *root.glob("tool_registry/*.py"), *root.glob("*.md")]
    words = [word for path in paths for word in path.read_text(encoding="utf-8").split()]
    assert len(words) > 30_000
    assert [word for word in words if is_random(word)] == []
