"""What becomes of arguments that do not fit: refused, passed on with a warning, or just passed on."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mcp_proxy.desk import Desk
from tests.serving import ERAS, configured, script, serving, text_of
from tests.upstream_options.parts import board_of, counted

WRONG = {"n": "s3cret"}


@pytest.mark.parametrize("era", ERAS)
async def test_arguments_that_do_not_fit_reach_the_upstream_only_if_it_wants_them(
    tmp_path: Path, era: str
) -> None:
    upstreams = {
        validation: counted(tmp_path / validation, "number", validation=validation)
        for validation in ("enforce", "warn", "off")
    }
    async with serving(configured(tmp_path, upstreams), mode=era) as client:
        refused = await client.call_tool("enforce__number", WRONG)
        assert refused.is_error
        assert "n" in text_of(refused)
        for name in ("warn", "off"):
            assert text_of(await client.call_tool(f"{name}__number", WRONG)) == '{"n": "s3cret"}'
            assert text_of(await client.call_tool(f"{name}__number", {"n": 7})) == '{"n": 7}'


async def test_a_warning_says_where_but_not_what(tmp_path: Path) -> None:
    config = configured(
        tmp_path, {name: counted(tmp_path / name, "number", validation=name) for name in ("warn", "off")}
    )
    with capture_logs() as logs:
        async with board_of(config) as board:
            await board.wait_started()
            for name in ("warn__number", "off__number"):
                await Desk(board).call_tool(board.snapshot.catalog.tools[name], {"arguments": WRONG})
    warnings = [entry for entry in logs if entry["event"] == "call.invalid_argument"]
    assert [(entry["tool"], entry["pointer"]) for entry in warnings] == [("warn__number", "/n")]
    assert "s3cret" not in str(warnings)


async def test_a_schema_that_cannot_be_used_holds_no_call_up_unless_it_is_enforced(tmp_path: Path) -> None:
    config = configured(tmp_path, {"bad": {**script("bad_schema"), "validation": "warn"}})
    async with serving(config) as client:
        result = await client.call_tool("bad__invalid_schema", {"n": 1})
        assert text_of(result) == '{"n": 1}'
