"""Qualified names: legal for every client, within the limit, and never the same for two tools."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_registry.naming import NAME_LIMIT, prefix_of, qualify

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,46}")


@pytest.mark.parametrize(
    ("prefix", "name", "qualified"),
    [
        ("claude-flow", "swarm_init", "claude-flow__swarm_init"),
        ("", "test_simple_text", "test_simple_text"),
        ("git", "a__b", "git__a__b"),
    ],
)
def test_a_name_that_is_legal_already_stays_readable(prefix: str, name: str, qualified: str) -> None:
    assert qualify(prefix, name) == qualified


def test_a_long_name_keeps_its_beginning_and_gets_a_stable_suffix() -> None:
    name = qualify("server-everything", "trigger-long-running-operation")
    assert len(name) == NAME_LIMIT
    assert name == "server-everything__trigger-long-running_27805d"


@given(st.text(max_size=20), st.text(max_size=80))
def test_every_name_is_legal_whatever_the_upstream_calls_its_tool(upstream: str, name: str) -> None:
    assert LEGAL.fullmatch(qualify(prefix_of(upstream), name))


@given(st.lists(st.text(min_size=1, max_size=70), unique=True, max_size=30))
def test_two_tools_of_one_upstream_never_share_a_name(names: list[str]) -> None:
    assert len({qualify("upstream", name) for name in names}) == len(names)
