"""What is said where escalation would have helped."""

import pytest

from mcp_proxy.escalation_settings import EscalationSettings, why_not_escalated

CLIENT_ALONE = EscalationSettings(order=("client",))


def test_without_a_table_the_remedy_is_a_table() -> None:
    assert "an [escalation] table would pass such tasks to Claude" in why_not_escalated(None)
    assert 'order = ["client"]' in why_not_escalated(None, "high")


def test_a_private_task_is_kept_back_though_there_is_a_table() -> None:
    assert "privacy is high" in why_not_escalated(CLIENT_ALONE, "high")
    assert why_not_escalated(CLIENT_ALONE) == ""


@pytest.mark.parametrize("order", [("client",), ("client", "claude"), ("claude",)])
def test_claude_is_reached_only_where_it_is_in_the_order(order: tuple[str, ...]) -> None:
    settings = EscalationSettings.model_validate(
        {"order": order, "model": "m", "api_key": "key", "timeout": 7}
    )
    assert (settings.claude is None) == ("claude" not in order)
    if settings.claude:
        assert (settings.claude.model, settings.claude.timeout) == ("m", 7)
        assert settings.claude.api_key.get_secret_value() == "key"
