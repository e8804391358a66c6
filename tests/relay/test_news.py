"""What upstreams tell and clients want to be told: log entries, changed lists, changed resources, completions."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.subscriptions import Subscription
from mcp.server.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged
from mcp_types import (
    EmptyResult,
    LoggingLevel,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    RootsListChangedNotification,
    SetLevelRequest,
    SetLevelRequestParams,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from tests.relay.person import Person, asker
from tests.serving import ERAS, configured, outcome_of, script, serving, text_of

PAGE = "asker://page"
MODERN = "2026-07-28"


@pytest.fixture(scope="module", params=ERAS, ids=lambda era: f"upstream-{era}")
def behind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ada() -> Person:
    return Person()


@pytest.fixture
async def client(behind: str, ada: Person, tmp_path: Path) -> AsyncGenerator[Client]:
    """A client of the handshake era."""
    config = configured(tmp_path, {"a": asker(behind)})
    async with serving(config, mode="legacy", **ada.callbacks()) as connected:
        await connected.list_tools()
        yield connected


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Client]:
    """A client of the handshake era that only looks."""
    upstreams = {"a": asker("legacy"), "echo": script("echo")}
    async with serving(configured(tmp_path_factory.mktemp("plain"), upstreams), mode="legacy") as connected:
        await connected.list_tools()
        yield connected


@pytest.fixture
async def stateless(behind: str, ada: Person, tmp_path: Path) -> AsyncGenerator[Client]:
    """A client of the stateless era that has asked for log entries from "info" on."""
    config = configured(tmp_path, {"a": asker(behind)})
    async with serving(config, mode=MODERN, log_level="info", **ada.callbacks()) as connected:
        await connected.list_tools()
        yield connected


async def note(client: Client, level: str, data: str) -> list[str]:
    """Have the upstream log, and say which levels it has been set to."""
    result = await client.call_tool("a__note", {"level": level, "data": data})
    assert result.structured_content
    return result.structured_content["levels"]


async def set_level(client: Client, level: LoggingLevel) -> None:
    await client.session.send_request(SetLevelRequest(params=SetLevelRequestParams(level=level)), EmptyResult)


async def test_log_entries_of_a_call_reach_its_client_from_the_level_it_set(
    client: Client, ada: Person, behind: str
) -> None:
    await set_level(client, "warning")
    levels = await note(client, "info", "chatter")
    await note(client, "error", "fire")
    await ada.until(lambda: bool(ada.logged))
    assert ada.logged == ["fire"]
    assert levels == (["warning"] if behind == "legacy" else [])


async def test_a_stateless_client_gets_the_log_entries_it_asks_for_with_its_call(
    stateless: Client, ada: Person, behind: str
) -> None:
    levels = await note(stateless, "debug", "chatter")
    await note(stateless, "notice", "news")
    await ada.until(lambda: bool(ada.logged))
    assert ada.logged == ["news"]
    assert levels == (["info"] if behind == "legacy" else [])


async def test_a_stateless_client_that_asks_for_no_log_entries_gets_none(
    behind: str, ada: Person, tmp_path: Path
) -> None:
    config = configured(tmp_path, {"a": asker(behind)})
    async with serving(config, mode=MODERN, **ada.callbacks()) as client:
        await client.list_tools()
        await note(client, "emergency", "fire")
        await note(client, "emergency", "flood")
    assert ada.logged == []


async def test_a_subscribed_resource_is_announced_until_it_is_unsubscribed(
    client: Client, ada: Person
) -> None:
    await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=PAGE)), EmptyResult)
    await change_until_told(client, ada)
    gone = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=PAGE))
    await client.session.send_request(gone, EmptyResult)
    ada.told.clear()
    result = await client.call_tool("a__change_page", {})
    assert (result.structured_content or {})["watched"] == []
    await set_level(client, "error")
    await note(client, "error", "later than any announcement")
    await ada.until(lambda: bool(ada.logged))
    assert "notifications/resources/updated" not in ada.methods()


async def test_a_subscription_outlives_the_upstreams_connection(client: Client, ada: Person) -> None:
    await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=PAGE)), EmptyResult)
    assert (await client.call_tool("a__crash", {})).is_error
    await change_until_told(client, ada)


async def change_until_told(client: Client, ada: Person) -> None:
    with anyio.fail_after(20):
        while "notifications/resources/updated" not in ada.methods():
            await client.call_tool("a__change_page", {})
    message = next(message for message in ada.told if isinstance(message, ResourceUpdatedNotification))
    assert message.params.uri == PAGE


async def test_a_stateless_client_listens_to_resources(stateless: Client) -> None:
    async with stateless.listen(resource_subscriptions=[PAGE]) as events:
        changed = await first_event(stateless, events)
    assert changed == ResourceUpdated(PAGE)


async def first_event(client: Client, events: Subscription) -> ServerEvent:
    """The first event, while the page changes again and again: a new stream misses what came before it."""
    seen: list[ServerEvent] = []

    async def listen() -> None:
        seen.append(await anext(events))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            while not seen:
                await client.call_tool("a__change_page", {})
    return seen[0]


async def test_a_resource_nobody_has_cannot_be_subscribed_to(plain: Client) -> None:
    request = SubscribeRequest(params=SubscribeRequestParams(uri="nowhere://at-all"))
    with pytest.raises(MCPError, match="nowhere://at-all"):
        await plain.session.send_request(request, EmptyResult)


async def test_completions_come_from_the_upstream_that_owns_the_prompt_or_template(plain: Client) -> None:
    argument = {"name": "name", "value": "A"}
    prompt = PromptReference(type="ref/prompt", name="a__greet")
    assert (await plain.complete(prompt, argument)).completion.values == ["greet: A…"]
    template = ResourceTemplateReference(type="ref/resource", uri="asker://chapter/{title}")
    assert (await plain.complete(template, argument)).completion.values == ["asker://chapter/{title}: A…"]


async def test_an_upstream_without_completions_has_none_to_offer(plain: Client) -> None:
    prompt = PromptReference(type="ref/prompt", name="echo__greet")
    assert (await plain.complete(prompt, {"name": "name", "value": "A"})).completion.values == []


async def test_the_only_clients_roots_are_the_upstreams_to_see_at_any_time(
    tmp_path: Path, ada: Person
) -> None:
    config = configured(tmp_path, {"a": asker("legacy", "--roots")})
    async with serving(config, mode="legacy", **ada.callbacks()) as client:
        await ada.until(lambda: [{"uri": "file:///home/Ada"}] in ada.logged)
        ada.name = "Grace"
        await client.session.send_notification(RootsListChangedNotification())
        await ada.until(lambda: [{"uri": "file:///home/Grace"}] in ada.logged)


@pytest.mark.parametrize("era", ERAS)
async def test_only_the_lists_that_changed_are_announced(tmp_path: Path, ada: Person, era: str) -> None:
    config = configured(tmp_path, {"changing": script("changing")})
    async with serving(config, mode=era, **ada.callbacks()) as client:
        await client.list_tools()
        ada.told.clear()
        if era == "legacy":
            await client.call_tool("changing__add", {"name": "new"})
            await ada.until(lambda: bool(ada.told))
            assert ada.methods() == {"notifications/tools/list_changed"}
            return
        async with client.listen(
            tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
        ) as events:
            await client.call_tool("changing__add", {"name": "new"})
            with anyio.fail_after(20):
                assert await anext(events) == ToolsListChanged()


async def test_what_is_declared_in_the_handshake_is_served(plain: Client) -> None:
    has = plain.server_capabilities
    assert has.tools
    assert has.tools.list_changed
    assert has.resources
    assert has.resources.subscribe
    assert has.completions is not None
    assert has.logging is not None


async def test_an_upstream_of_a_given_stateless_version_is_asked_what_it_can_do(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, {"echo": script("echo")}), mode=MODERN) as auto:
        names = [tool.name for tool in (await auto.list_tools()).tools]
    pinned = {"echo": {**script("echo"), "protocol": MODERN}}
    async with serving(configured(tmp_path, pinned), mode=MODERN) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == names


@pytest.mark.parametrize("era", ERAS)
async def test_a_lone_upstreams_own_do_keeps_its_name(tmp_path: Path, era: str) -> None:
    config = configured(tmp_path, {"a": asker("auto", prefix="")})
    async with serving(config, mode=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names[:2] == ["switchboard_do", "plan"]
        assert names.count("do") == 1
        assert text_of(await client.call_tool("do", {"gate": "any"})) == "open"
        planned = await client.call_tool("switchboard_do", {"task": "book a table", "dry_run": True})
        assert outcome_of(planned)["ending"] == "needs"
