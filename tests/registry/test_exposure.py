"""Exposure: who is shown everything, and who is shown a search."""

import pytest

from tool_registry import Catalog, Offer
from tool_registry.exposure import TOKENS_SHOWN, Exposure, always_visible, choose


@pytest.mark.parametrize(
    ("client", "tools", "tokens", "exposure"),
    [
        ("claude-code", 544, 79_000, Exposure.ALL),
        ("Claude-Code 2", 544, 79_000, Exposure.ALL),
        ("claude-ai", 544, 79_000, Exposure.SEARCH),
        ("claude-ai", 20, 4_000, Exposure.ALL),
        ("Visual Studio Code - Insiders", 129, 9_000, Exposure.SEARCH),
        ("Visual Studio Code", 128, 9_000, Exposure.ALL),
        ("Visual Studio Code", 100, TOKENS_SHOWN + 1, Exposure.SEARCH),
        ("cursor-vscode", 41, 4_000, Exposure.SEARCH),
        ("a script of mine", 544, 79_000, Exposure.ALL),
        ("", 544, 79_000, Exposure.ALL),
    ],
)
def test_a_client_is_shown_what_it_can_take(client: str, tools: int, tokens: int, exposure: Exposure) -> None:
    choice = choose(client, tools, lambda: tokens)
    assert choice.exposure is exposure
    assert choice.reason


def test_what_is_always_visible_is_named_by_server_and_tool_or_as_it_is_seen() -> None:
    names = ("add", "remove", "list")
    tools = Catalog(
        (Offer("my notes", "notes", tools=tuple({"name": name} for name in names)),)
    ).tools.values()
    shown = always_visible(tools, ["my notes/a*", "notes__list", "nothing/*"])
    assert [tool.name for tool in shown] == ["add", "list"]
