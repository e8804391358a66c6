"""Which tools there are: the patterns themselves, and that what is denied cannot be reached any way."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from structlog.testing import capture_logs

from tests.serving import ERAS, configured, outcome_of, serving
from tests.upstream_options.parts import board_of, counted, names, until
from tool_registry import Offer
from tool_registry.visibility import is_visible, unmatched, visible

CASES = json.loads(Path(__file__).with_name("visibility_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["says"]) for case in CASES])
def test_a_tool_is_there_if_it_is_allowed_and_not_denied(case: dict[str, Any]) -> None:
    assert is_visible(case["name"], case["allow"], case["deny"]) == case["visible"]


def test_only_tools_are_filtered_and_what_has_no_name_is_left_to_be_complained_of() -> None:
    offer = Offer("x", "x", tools=({"name": "a"}, {}, {"name": "b"}), prompts=({"name": "b"},))
    seen = visible(offer, ["*"], ["b"])
    assert seen.tools == ({"name": "a"}, {})
    assert seen.prompts == offer.prompts


def test_patterns_that_match_nothing_are_found() -> None:
    offer = Offer("x", "x", tools=({"name": "read"}, {}))
    assert unmatched(offer, ["*", "raed", "re?d"]) == ["raed"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_denied_tool_is_neither_listed_nor_callable_nor_planned(tmp_path: Path, era: str) -> None:
    upstream = counted(tmp_path / "starts", "greet", "launch_rockets", allow=["pid", "greet", "launch*"])
    config = configured(tmp_path, {"x": {**upstream, "deny": ["launch_*"]}})
    async with serving(config, mode=era) as client:
        assert await names(client) == {"x__pid", "x__greet"}
        with pytest.raises(MCPError, match="Unknown tool: x__launch_rockets"):
            await client.call_tool("x__launch_rockets", {})
        outcome = outcome_of(await client.call_tool("plan", {"task": "launch rockets"}))
        assert "launch_rockets" not in json.dumps(outcome)


async def test_a_pattern_that_matches_nothing_is_told_of(tmp_path: Path) -> None:
    config = configured(tmp_path, {"x": counted(tmp_path / "starts", deny=["pdi"])})
    with capture_logs() as logs:
        async with board_of(config) as board:
            await board.wait_started()
    told = [entry for entry in logs if entry["event"] == "upstream.pattern_unmatched"]
    assert [(entry["pattern"], entry["near"]) for entry in told] == [("pdi", "pid")]


async def test_what_a_profile_names_and_nothing_matches_is_told_of_once_all_are_listed(
    tmp_path: Path,
) -> None:
    profile: dict[str, Any] = {"allow": ["x/*", "y/*", "w/*"], "tools": {"x/pdi": {"name": "process"}}}
    server = {"always_visible": ["x/pdi", "x/pid"]}
    upstreams = {"x": counted(tmp_path / "x"), "y": {"command": "no-such-command-anywhere"}}
    config = configured(tmp_path, upstreams, server=server, **{"profiles.p": profile})
    with capture_logs() as logs:
        async with board_of(config, watch=True) as board:
            await board.wait_started()
            configured(tmp_path, upstreams, **{"profiles.p": {**profile, "deny": ["x/kill"]}})
            await until(lambda: any(entry.get("pattern") == "x/kill" for entry in logs))
    told = [
        (entry["pattern"], entry["near"])
        for entry in logs
        if entry["event"] == "profile.unmatched" and entry["profile"] == "p"
    ]
    assert sorted(told) == [("w/*", "y/*"), ("x/kill", ""), ("x/pdi", "x/pid")]
    served = [entry["pattern"] for entry in logs if entry["event"] == "server.unmatched"]
    assert served == ["x/pdi"]
