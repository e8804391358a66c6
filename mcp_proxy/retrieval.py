"""Searching the catalog: by words at once, and by meaning as soon as its tools have been embedded.

Embedding happens in a thread, in the background, never on the way of a call. The index is a value that the board
holds; this finds in it, and hands the board a better one.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

import anyio
import anyio.to_thread
import structlog

from local_llm.encoder import Embedder, fingerprint
from mcp_proxy.settings import SearchSettings
from tool_registry import Candidate, ToolIndex

if TYPE_CHECKING:  # It loads numpy, which nothing needs that only passes calls on.
    from mcp_proxy.vector_cache import VectorCache

T = TypeVar("T")
R = TypeVar("R")

_SETTLE = 2.0
"""Seconds after a change of the catalog until its tools are embedded, unless someone waits for it."""
_AT_ONCE = 4
"""Texts embedded between two rests."""
_REST = 2
"""How many times as long as it worked the background rests, so that calls find a processor free."""
_SEARCHES = 4
"""Searches at once; more would only wait for one another."""

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far embedding has come: of `total` texts that were new, `done` have been embedded."""

    done: int = 0
    total: int = 0


def _shipped() -> Embedder:
    from local_llm.encoder.minilm import MiniLm  # noqa: PLC0415  it brings numpy along

    return MiniLm()


class Retrieval:
    """Finds the tools of the current catalog that a query may mean.

    Args:
        current: gives the index as it is now.
        replace: has searches use a better index, made of the current one.
        settings: whether meanings are compared, and where vectors are kept.
        encoder: loads the encoder, once it is needed.
    """

    def __init__(
        self,
        current: Callable[[], ToolIndex],
        replace: Callable[[ToolIndex], None],
        settings: SearchSettings,
        encoder: Callable[[], Embedder] = _shipped,
    ) -> None:
        self._current = current
        self._replace = replace
        self._settings = settings
        self._load = encoder
        self.progress = Progress()
        self._enabled = settings.meaning
        self._embedder: Embedder | None = None
        self._vectors: VectorCache | None = None
        self._sought = False
        self._incomplete: ToolIndex | None = None
        """The index that some vectors are known to be missing of."""
        self._changed = anyio.Event()
        self._hurried = anyio.Event()
        self._embedded = anyio.Event()
        self._fusing = anyio.Lock()
        self._searches = anyio.CapacityLimiter(_SEARCHES)
        self._background = anyio.CapacityLimiter(1)

    async def search(self, query: str, limit: int = 20) -> tuple[Candidate, ...]:
        """The `limit` tools that fit `query` best, best first.

        Meanings are compared if all tools have been embedded, now or in an earlier run; until then, words are.
        The first search may take some tenths of a second, to load the encoder. Never raises.
        """
        self._sought = True
        index = await self._fused() if self._enabled else self._current()
        return await anyio.to_thread.run_sync(self._find, index, query, limit, limiter=self._searches)

    def renew(self) -> None:
        """Have the tools embedded that the current index has and the one before had not."""
        self._changed.set()
        if self._embedded.is_set():
            self._embedded = anyio.Event()

    async def complete(self) -> None:
        """Return when all tools have been embedded, or cannot be. Without this, it is done at leisure."""
        self._hurried.set()
        if self._enabled and self._current().tools:
            await self._embedded.wait()

    async def keep(self) -> NoReturn:
        """Embed what is new, whenever the catalog has changed. Ends only by cancellation."""
        while True:
            await self._changed.wait()
            with anyio.move_on_after(_SETTLE):
                await self._hurried.wait()
            self._changed = anyio.Event()
            if self._enabled:
                await self._embed(self._current())
            if not self._changed.is_set():
                self._embedded.set()

    def close(self) -> None:
        """Let go of the file that vectors are kept in."""
        if self._vectors:
            self._vectors.close()

    def _find(self, index: ToolIndex, query: str, limit: int) -> tuple[Candidate, ...]:
        vector = None
        if index.has_vectors:
            try:
                vector = self._encoder().embed(query)
            except Exception as error:  # noqa: BLE001  whatever ails the encoder, words can be searched
                self._give_up(error)
        return index.search(query, limit, vector)

    async def _fused(self) -> ToolIndex:
        """The current index, with vectors if they can be had without embedding anything."""
        if not self._current().has_vectors:
            async with self._fusing:
                index = self._current()
                if not index.has_vectors and index is not self._incomplete:
                    self._incomplete = index
                    if not await self._in_background(self._missing, index):
                        await self._fuse()
        return self._current()

    async def _fuse(self) -> None:
        """Give the current index the vectors that are kept of its tools."""
        while True:
            index = self._current()
            fused = await self._in_background(self._with_vectors, index)
            if index is self._current():
                self._replace(fused)
                return

    async def _embed(self, index: ToolIndex) -> None:
        """Have all passages of `index` kept as vectors; stops early where the catalog has changed again."""
        missing = await self._in_background(self._missing, index)
        self.progress = Progress(0, len(missing))
        began = time.perf_counter()
        if missing:
            log.info("search.indexing", texts=len(missing))
        while (place := self.progress.done) < len(missing) and self._enabled and not self._changed.is_set():
            some = missing[place : place + _AT_ONCE]
            spent = await self._in_background(self._embed_some, some)
            self.progress = Progress(place + len(some), len(missing))
            if not self._hurried.is_set():
                await anyio.sleep(_REST * spent)
        if missing:
            log.info(
                "search.indexed", texts=self.progress.done, seconds=round(time.perf_counter() - began, 1)
            )
        self._incomplete = None
        if self._sought and self._enabled and (missing or not index.has_vectors):
            await self._fuse()
        elif not self._sought:
            self._embedder = None  # An encoder that nobody has searched with is not worth its memory.

    async def _in_background(self, work: Callable[[T], R], argument: T) -> R:
        return await anyio.to_thread.run_sync(
            work, argument, limiter=self._background, abandon_on_cancel=True
        )

    def _missing(self, index: ToolIndex) -> list[str]:
        """The passages of `index` that are to be embedded."""
        try:
            return self._cache().missing(_unhurried(index.passages))
        except Exception as error:  # noqa: BLE001
            self._give_up(error)
            return []

    def _embed_some(self, texts: list[str]) -> float:
        """Embed and keep some texts; returns the seconds it took."""
        began = time.perf_counter()
        try:
            self._cache().save({text: self._encoder().embed(text) for text in texts})
        except Exception as error:  # noqa: BLE001
            self._give_up(error)
        return time.perf_counter() - began

    def _with_vectors(self, index: ToolIndex) -> ToolIndex:
        if not self._enabled:
            return index
        fused = index.with_vectors(self._cache().load(index.passages))
        fused.prepare(pause=_let_others)
        return fused

    def _encoder(self) -> Embedder:
        if self._embedder is None:
            self._embedder = self._load()
        return self._embedder

    def _cache(self) -> "VectorCache":
        if self._vectors is None:
            from mcp_proxy.vector_cache import VectorCache  # noqa: PLC0415

            self._vectors = VectorCache(self._settings.vectors, fingerprint())
        return self._vectors

    def _give_up(self, error: Exception) -> None:
        self._enabled = False
        log.warning("search.by_words_only", reason=str(error) or type(error).__name__)


def _unhurried(texts: Iterable[str]) -> Iterator[str]:
    """The texts, where making each may take a moment."""
    for text in texts:
        _let_others()
        yield text


def _let_others() -> None:
    """Let go of the interpreter for a moment, which other threads may be waiting for."""
    time.sleep(0)
