"""The notes server, through the protocol."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, TextContent, TextResourceContents

from tests.demo.demo_serving import answer, cases, refusal, started


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """One server for the module: each test files its notes under a tag of its own."""
    async with Client(
        started("notes", "--database", tmp_path_factory.mktemp("notes") / "new" / "n.db")
    ) as client:
        yield client


def titles(found: dict[str, Any]) -> list[str]:
    return [note["title"] for note in found["notes"]]


async def test_a_note_can_be_added_read_and_deleted(client: Client) -> None:
    added = await answer(client, "add_note", title=" Milk ", text="Two litres, 牛奶 🥛\n", tags=["shop"])
    assert added["title"] == "Milk"
    assert await answer(client, "read_note", id=added["id"]) == added
    assert await answer(client, "delete_note", id=added["id"]) == added
    assert str(added["id"]) in await refusal(client, "read_note", id=added["id"])


async def test_the_id_of_a_deleted_note_is_not_used_again(client: Client) -> None:
    first = await answer(client, "add_note", title="a", text="")
    await answer(client, "delete_note", id=first["id"])
    assert (await answer(client, "add_note", title="b", text=""))["id"] > first["id"]


async def test_search_finds_notes_with_every_word_whatever_its_ending_and_the_best_first(
    client: Client,
) -> None:
    await answer(client, "add_note", title="Zebra stripes", text="zebra zebra zebra")
    await answer(
        client, "add_note", title="Zoo", text="We walked past many animals, one zebra, and left walking"
    )
    await answer(client, "add_note", title="Fish", text="swam", tags=["zebrafish"])
    found = titles(await answer(client, "search_notes", query="zebra"))
    assert (found[0], set(found)) == ("Zebra stripes", {"Zebra stripes", "Zoo", "Fish"})
    assert titles(await answer(client, "search_notes", query="ZEBRA walks")) == ["Zoo"]
    assert titles(await answer(client, "search_notes", query="zebra", limit=1)) == ["Zebra stripes"]
    assert titles(await answer(client, "search_notes", query="zebra crossing")) == []


async def test_a_deleted_note_is_not_found(client: Client) -> None:
    note = await answer(client, "add_note", title="Quokka", text="here")
    assert titles(await answer(client, "search_notes", query="quokka")) == ["Quokka"]
    await answer(client, "delete_note", id=note["id"])
    assert titles(await answer(client, "search_notes", query="quokka")) == []


@pytest.mark.parametrize(
    "query", ['"', '""', "AND", "(", "x NEAR(", "title:x", "!!", "a -b", "*", "'; DROP TABLE notes"]
)
async def test_search_syntax_is_taken_as_plain_words(client: Client, query: str) -> None:
    assert "notes" in await answer(client, "search_notes", query=query)


async def test_notes_are_listed_newest_first_and_by_tag_whatever_its_case(client: Client) -> None:
    for title in ("one", "two", "three"):
        await answer(client, "add_note", title=title, text="", tags=[" Numbers", "numbers", title, ""])
    assert titles(await answer(client, "list_notes", tag="NUMBERS ")) == ["three", "two", "one"]
    assert titles(await answer(client, "list_notes", tag="numbers", limit=2)) == ["three", "two"]
    assert titles(await answer(client, "list_notes", limit=1)) == ["three"]
    assert titles(await answer(client, "list_notes", tag="number")) == []
    assert (await answer(client, "list_notes", tag="two"))["notes"][0]["tags"] == ["numbers", "two"]


async def test_notes_added_at_the_same_time_all_arrive(client: Client) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(
                client.call_tool, "add_note", {"title": str(number), "text": "", "tags": ["together"]}
            )
    listed = (await answer(client, "list_notes", tag="together", limit=100))["notes"]
    assert {note["title"] for note in listed} == {str(number) for number in range(30)}
    assert len({note["id"] for note in listed}) == 30


async def test_notes_outlive_the_server(tmp_path: Path) -> None:
    server = started("notes", "--database", tmp_path / "n.db")
    async with Client(server) as client:
        note = await answer(client, "add_note", title="Kept", text="for later")
    async with Client(server) as client:
        assert await answer(client, "read_note", id=note["id"]) == note


async def test_a_note_is_a_resource_too(client: Client) -> None:
    note = await answer(client, "add_note", title="Tea", text="Three minutes")
    templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == ["note://{id}"]
    (content,) = (await client.read_resource(f"note://{note['id']}")).contents
    assert isinstance(content, TextResourceContents)
    assert (content.mime_type, content.text) == ("text/markdown", "# Tea\n\nThree minutes\n")


@pytest.mark.parametrize("name", ["987654321", "first", "1e99"])
async def test_a_resource_that_is_no_note_is_not_found(client: Client, name: str) -> None:
    with pytest.raises(MCPError, match=f"No note has the id {name}") as raised:
        await client.read_resource(f"note://{name}")
    assert raised.value.code == INVALID_PARAMS


async def test_the_prompt_carries_the_notes_of_its_tag_and_refuses_a_tag_without_notes(
    client: Client,
) -> None:
    await answer(client, "add_note", title="Sow", text="Beans in May", tags=["garden"])
    (prompt,) = (await client.list_prompts()).prompts
    assert (prompt.name, [argument.name for argument in prompt.arguments or []]) == (
        "summarise_notes",
        ["tag"],
    )
    (message,) = (await client.get_prompt("summarise_notes", {"tag": "garden"})).messages
    assert isinstance(message.content, TextContent)
    assert "Beans in May" in message.content.text
    with pytest.raises(MCPError, match="No note has the tag 'moon'"):
        await client.get_prompt("summarise_notes", {"tag": "moon"})


@pytest.mark.parametrize(
    "case", cases("note_refusals"), ids=lambda case: f"{case['tool']} {case['arguments']}"
)
async def test_bad_input_is_a_tool_error_that_names_it(client: Client, case: dict[str, Any]) -> None:
    message = await refusal(client, case["tool"], **case["arguments"])
    assert [words for words in case["says"] if words not in message] == []


def test_a_file_that_is_no_database_is_refused_at_start_and_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear reader, this is certainly not a database.\n" * 20)
    before = letter.read_bytes()
    ended = subprocess.run(
        [sys.executable, "-m", "mcp_proxy.demo.notes", "--database", str(letter)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"cannot keep notes in {letter}" in ended.stderr
    assert letter.read_bytes() == before
