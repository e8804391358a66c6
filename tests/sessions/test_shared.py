"""What holds for the connection that clients share: it wakes and stays for a watched resource, and knows its clients."""

from pathlib import Path

from mcp_types import (
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from tests.relay.person import Person, asker
from tests.serving import configured, serving
from tests.sessions.parts import is_running, pid_of, said, starts_in, tally, until
from tests.upstream_options.parts import counted
from tests.upstream_options.parts import pid_of as pid_behind

PAGE = "tally://page"


async def test_a_watched_resource_keeps_its_upstream_awake_and_no_longer_when_unwatched(
    tmp_path: Path,
) -> None:
    ada = Person()
    watched = tally(session="shared", idle_stop=0.5)
    config = configured(tmp_path, {"t": watched, "other": counted(tmp_path / "other", idle_stop=0.5)})
    async with serving(config, mode="legacy", **ada.callbacks()) as client:
        await client.list_tools()
        page = SubscribeRequest(params=SubscribeRequestParams(uri=PAGE))
        await client.session.send_request(page, EmptyResult)
        awake, asleep = await pid_of(client), await pid_behind(client, "other")
        await until(lambda: not is_running(asleep))
        assert is_running(awake)
        await said(client, "change_page")
        await ada.until(lambda: "notifications/resources/updated" in ada.methods())
        gone = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=PAGE))
        await client.session.send_request(gone, EmptyResult)
        await until(lambda: not is_running(awake))


async def test_watching_a_resource_wakes_an_upstream_that_sleeps(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    config = configured(tmp_path, {"t": tally(str(starts), session="shared", lazy=True)})
    async with serving(config, mode="legacy") as client:
        await client.list_tools()
        await until(lambda: not any(map(is_running, starts_in(starts))))
        page = SubscribeRequest(params=SubscribeRequestParams(uri=PAGE))
        await client.session.send_request(page, EmptyResult)
        assert [is_running(pid) for pid in starts_in(starts)] == [False, True]


async def test_an_upstream_added_when_there_was_none_knows_the_clients_that_are_there(tmp_path: Path) -> None:
    ada = Person()
    curious = asker("legacy", "--roots")
    config = configured(tmp_path, {"a": {**curious, "enabled": False}})
    async with serving(config, mode="legacy", **ada.callbacks()) as client:
        await client.list_tools()
        configured(tmp_path, {"a": curious})
        await ada.until(lambda: bool(ada.logged))
    assert (ada.asked, ada.logged) == (["roots"], [[{"uri": "file:///home/Ada"}]])
