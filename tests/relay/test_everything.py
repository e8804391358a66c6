"""The reference server asks its client back: through Switchboard as in front of it, in either era of the client."""

from pathlib import Path

import pytest

from tests.npm_upstreams import everything_stdio
from tests.relay.person import Person
from tests.serving import ERAS, configured, npm, serving, text_of


@pytest.mark.parametrize("era", ERAS)
async def test_the_reference_servers_questions_are_answered_by_the_client(tmp_path: Path, era: str) -> None:
    ada = Person()
    config = configured(tmp_path, {"every": npm(everything_stdio())})
    async with serving(config, mode=era, **ada.callbacks()) as client:
        await client.list_tools()
        poem = await client.call_tool("every__trigger-sampling-request", {"prompt": "A poem", "maxTokens": 9})
        assert "a poem by Ada" in text_of(poem)
        form = await client.call_tool("every__trigger-elicitation-request", {})
        assert "Ada" in text_of(form)
    assert "sampling" in ada.asked
