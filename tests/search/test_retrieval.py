"""Retrieval: words at once, meanings as soon as they are known, and nothing embedded twice."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import anyio
import numpy as np
import pytest

from local_llm.encoder import Embedder
from local_llm.encoder.minilm import MiniLm
from mcp_proxy.retrieval import Retrieval
from mcp_proxy.settings import SearchSettings
from tool_registry import Catalog, Offer, ToolIndex


def tool(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": {"type": "object"}}


NOTES = (tool("delete_note", "Delete a note"), tool("add_note", "Write a note"))
CLOCK = (tool("convert_units", "Convert a value"), tool("current_time", "What time it is"))


def index_of(*tools: dict[str, Any]) -> ToolIndex:
    return ToolIndex(Catalog((Offer("one", "one", tools),)).tools.values())


class Counting:
    """The encoder that ships, and how often it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._encoder = MiniLm()

    def embed(self, text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.texts.append(text)
        return self._encoder.embed(text)


class Broken:
    def embed(self, text: str) -> NoReturn:
        raise OSError(f"no model for {text}")


class Board:
    """Whoever holds the index."""

    def __init__(
        self, index: ToolIndex, path: Path | None, encoder: Callable[[], Embedder], *, meaning: bool
    ) -> None:
        self.index = index
        settings = SearchSettings(meaning=meaning, vectors=path)
        self.retrieval = Retrieval(lambda: self.index, self.take, settings, encoder)
        self.retrieval.renew()

    def take(self, index: ToolIndex) -> None:
        self.index = index

    def change(self, *tools: dict[str, Any]) -> None:
        self.index = self.index.with_tools(index_of(*tools).tools)
        self.retrieval.renew()

    async def found(self, query: str) -> list[str]:
        return [candidate.tool.name for candidate in await self.retrieval.search(query)]


@asynccontextmanager
async def board(
    path: Path | None, encoder: Callable[[], Embedder] = MiniLm, *tools: dict[str, Any], meaning: bool = True
) -> AsyncGenerator[Board]:
    held = Board(index_of(*(tools or NOTES)), path, encoder, meaning=meaning)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.retrieval.keep)
        with anyio.fail_after(60):
            yield held
        tasks.cancel_scope.cancel()
    held.retrieval.close()


async def test_words_are_searched_until_all_tools_are_embedded_and_meanings_from_then_on(
    tmp_path: Path,
) -> None:
    async with board(tmp_path / "v") as held:
        assert await held.found("erase the memo") == []
        assert await held.found("delete") == ["delete_note"]
        await held.retrieval.complete()
        assert (await held.found("erase the memo"))[0] == "delete_note"
        assert held.retrieval.progress.done == held.retrieval.progress.total == 2


async def test_nothing_is_embedded_twice_not_even_by_the_next_run(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    async with board(tmp_path / "v", lambda: first) as held:
        await held.retrieval.complete()
    assert len(first.texts) == 2
    async with board(tmp_path / "v", lambda: second) as held:
        assert (await held.found("erase the memo"))[0] == "delete_note"
    assert second.texts == ["erase the memo"]


async def test_only_what_is_new_is_embedded_when_a_server_changes(tmp_path: Path) -> None:
    counting = Counting()
    async with board(tmp_path / "v", lambda: counting) as held:
        await held.retrieval.complete()
        counting.texts.clear()
        held.change(*NOTES, *CLOCK)
        await held.retrieval.complete()
        assert len(counting.texts) == 2
        assert (await held.found("tell me the hour"))[0] == "current_time"
        held.change(*CLOCK)
        await held.retrieval.complete()
        assert "delete_note" not in await held.found("erase the memo")
        assert len(counting.texts) == 4


async def test_a_tool_that_came_just_now_is_found_by_its_words_meanwhile(tmp_path: Path) -> None:
    async with board(tmp_path / "v") as held:
        await held.retrieval.complete()
        await held.found("erase the memo")
        held.change(*NOTES, *CLOCK)
        assert (await held.found("convert a value"))[0] == "convert_units"


async def test_without_an_encoder_words_are_searched(tmp_path: Path) -> None:
    async with board(tmp_path / "v", Broken) as held:
        await held.retrieval.complete()
        assert await held.found("delete") == ["delete_note"]
        assert await held.found("erase the memo") == []


async def test_an_encoder_that_fails_later_costs_the_meanings_only(tmp_path: Path) -> None:
    async with board(tmp_path / "v") as held:
        await held.retrieval.complete()
    async with board(tmp_path / "v", Broken) as held:
        assert await held.found("delete a note") == ["delete_note", "add_note"]


async def test_meanings_can_be_turned_off(tmp_path: Path) -> None:
    async with board(tmp_path / "v", Broken, meaning=False) as held:
        await held.retrieval.complete()
        assert await held.found("delete") == ["delete_note"]
    assert not (tmp_path / "v").exists()


async def test_no_tools_are_soon_complete() -> None:
    async with board(None) as held:
        held.change()
        await held.retrieval.complete()
        assert await held.found("delete") == []


async def test_without_a_file_meanings_are_worked_out_each_time() -> None:
    async with board(None) as held:
        await held.retrieval.complete()
        assert (await held.found("erase the memo"))[0] == "delete_note"


async def test_a_hundred_searches_at_once_agree(tmp_path: Path) -> None:
    found: list[list[str]] = []
    async with board(tmp_path / "v", MiniLm, *NOTES, *CLOCK) as held:
        await held.retrieval.complete()

        async def search() -> None:
            found.append(await held.found("erase the memo"))

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(search)
    assert len(found) == 100
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("query", ["", "\ud800", "\0", "note " * 100_000])
async def test_no_query_fails(tmp_path: Path, query: str) -> None:
    async with board(tmp_path / "v") as held:
        await held.retrieval.complete()
        assert len(await held.found(query)) <= 2
