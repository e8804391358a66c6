"""A server that is killed in the middle of a task: what was answered is in the journal, and the task is, unfinished."""

import json
from pathlib import Path

from click.testing import CliRunner

from mcp_proxy.cli_journal import log
from tests.e2e.bare import bare_client
from tests.serving import configured, script


async def test_nothing_that_was_answered_is_lost_to_kill_9_and_what_was_not_is_seen_as_running(
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, {"echo": script("echo")}, planner={"threshold": 0.0})
    async with bare_client(config) as client:
        said = await client.request("tools/call", name="do", arguments={"task": "add 2 and 3"})
        assert said["result"]["structuredContent"]["ending"] == "done", said
        task = {"task": "take 600 seconds", "dry_run": False}
        call = {"name": "do", "arguments": task, "_meta": {"progressToken": 1}}
        await client.send(
            json.dumps({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": call}).encode()
        )
        while (message := await client.receive()).get("method") != "notifications/progress":
            assert message.get("id") != 99, message
        client.process.kill()
    ran = CliRunner().invoke(log, ["-c", str(config), "--json"])
    cut_short, done = json.loads(ran.stdout)
    assert (cut_short["ending"], cut_short["text"]) == ("running", "take 600 seconds")
    assert (done["ending"], done["steps"][0]["tool"]) == ("done", "echo__add")
