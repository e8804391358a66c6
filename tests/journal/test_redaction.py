"""What is hidden before anything is kept or logged, and what is left alone."""

import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_proxy.redaction import DEPTH_LIMIT, REDACTED, TEXT_LIMIT, redact, redact_beside, redact_event

CASES = json.loads((Path(__file__).parent / "redaction_cases.json").read_text())

FRAGMENTS = st.sampled_from(
    'password token secret api_key Authorization Cookie Bearer basic is to = : :// @ " \' \\ \\" \n [redacted] '
    "[redac sk-abcdefghijklmnop eyJhbGciOi.eyJzdWIiOi. -----BEGIN PRIVATE KEY----- abc123def --pwd ; &".split(
        " "
    )
)
TEXTS = st.text(max_size=40) | st.lists(FRAGMENTS | st.just(" "), max_size=12).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("case", CASES["hidden"], ids=lambda case: case["what"])
def test_a_credential_is_hidden_and_nothing_else_is_changed(case: dict[str, Any]) -> None:
    assert redact(case["value"]) == case["redacted"]


@pytest.mark.parametrize("value", CASES["kept"], ids=str)
def test_what_is_no_credential_is_kept(value: Any) -> None:
    assert redact(value) == value


@settings(deadline=None)
@given(JSON)
def test_redacting_twice_is_redacting_once(value: Any) -> None:
    once = redact(value)
    assert repr(redact(once)) == repr(once)


@settings(deadline=None)
@given(
    st.text(alphabet=st.characters(categories=("L", "N")), min_size=8),
    st.sampled_from(["password", "token", "apiKey"]),
)
def test_a_value_under_a_secret_name_never_survives(secret: str, name: str) -> None:
    assert redact({"a": [{name: secret}]}) == {"a": [{name: REDACTED}]}


def test_what_stands_under_a_secret_name_is_hidden_where_the_rest_repeats_it() -> None:
    told = {
        "arguments": {"user": "bob", "auth": [{"password": "open (sesame", "pin": "abc", "token": None}]},
        "error": "bob may not come in with open (sesame, says abc",
    }
    assert redact_beside("", told)["error"] == f"bob may not come in with {REDACTED}, says abc"
    assert redact_beside("", {"password": "", "error": "none"}) == {"password": "", "error": "none"}


def test_a_text_too_long_to_look_through_is_not_kept() -> None:
    assert redact("x" * (TEXT_LIMIT + 1)) == f"[{TEXT_LIMIT + 1} characters, not kept]"


def test_data_nested_without_end_is_cut_off() -> None:
    value: Any = "password=hunter2"
    for _ in range(20 * DEPTH_LIMIT):
        value = [value]
    assert "hunter2" not in repr(redact(value))


@pytest.mark.parametrize(
    "hostile",
    ["a", "://", "password", "token ", "eyJ", "-----BEGIN PRIVATE KEY", "--a-", "sk-", 'pwd="', "\\"],
)
def test_no_text_takes_long(hostile: str) -> None:
    text = (hostile * TEXT_LIMIT)[:TEXT_LIMIT]
    start = process_time()
    redact(text)
    assert process_time() - start < 1


def test_many_credentials_at_once_do_not_take_long_either() -> None:
    told = {"arguments": [{"password": f"secret {n}"} for n in range(20_000)], "error": "s" * TEXT_LIMIT}
    start = process_time()
    redact_beside("", told)
    assert process_time() - start < 10


def test_what_is_not_json_passes_through() -> None:
    error = ValueError("x")
    assert redact({"error": error, "path": Path("/a")}) == {"error": error, "path": Path("/a")}


def test_a_log_line_is_redacted_text_of_exceptions_included() -> None:
    lines: list[str] = []
    log = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[
            structlog.processors.format_exc_info,
            redact_event,
            structlog.processors.JSONRenderer(),
            lambda _logger, _method, line: lines.append(str(line)) or "",
        ],
    )
    try:
        raise RuntimeError("rejected: password=hunter2")
    except RuntimeError:
        log.exception("upstream.failed", api_key="hunter2", tool="echo")
    assert "hunter2" not in lines[0]
    assert json.loads(lines[0])["tool"] == "echo"
