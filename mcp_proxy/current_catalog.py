"""The catalog that requests see at this moment: swapped here and nowhere else, kept on disk, and its changes told.

What an upstream is, and how it is reached, is not known here.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import structlog

from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.pinning import Pinning
from tool_registry import Catalog, Offer, ToolIndex
from tool_registry.visibility import visible

Upstreams = Mapping[str, StdioUpstream | HttpUpstream]
"""What is configured, by name."""

OnChange = Callable[[], Awaitable[None]]

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A catalog and its search index: what one request sees from beginning to end."""

    catalog: Catalog
    index: ToolIndex

    def showing(self, catalog: Catalog) -> "Snapshot":
        """The snapshot of another catalog; of what this one's index knows, nothing is read again."""
        return Snapshot(catalog, self.index.with_tools(catalog.tools.values()))


class CurrentCatalog:
    """What the upstreams offer together, as far as it is known."""

    def __init__(self, upstreams: Upstreams, cache: CatalogCache, pinning: Pinning) -> None:
        """What `upstreams` offered last, by the cache; until they are listed nothing is known of the others.

        What is offered is shown as far as `pinning` admits it.
        """
        self._upstreams = upstreams
        self._cache = cache
        self._pinning = pinning
        self._listeners: set[OnChange] = set()
        self.known: Mapping[str, Offer | None] = {
            name: self._last_offer(name, settings) for name, settings in upstreams.items()
        }
        """What each offered last, or None, when the current configuration was taken up."""
        self._listed = {name for name, offer in self.known.items() if offer}
        self.snapshot = Snapshot(Catalog(), ToolIndex(())).showing(_catalog(upstreams, self.known))

    def on_change(self, listener: OnChange) -> None:
        """Have `listener` called after every change of the catalog."""
        self._listeners.add(listener)

    def forget(self, listener: OnChange) -> None:
        """Call a listener no more."""
        self._listeners.discard(listener)

    async def take(self, offer: Offer) -> None:
        """Take note of what an upstream offers now."""
        settings = self._upstreams.get(offer.upstream)
        if settings is None:
            return
        self._listed.add(offer.upstream)
        shown = await self._pinning.admit(offer, settings)
        if self._show(self.snapshot.catalog.with_offer(shown)):
            await self._cache.save(offer, settings)
            await self.tell()

    @property
    def unlisted(self) -> list[str]:
        """The upstreams of which nothing is known yet."""
        return [name for name in self._upstreams if name not in self._listed]

    async def follow_pins(self) -> NoReturn:
        """Have what other processes accept take effect. Ends only by cancellation."""
        await self._pinning.follow(self._show_again)

    def reconfigure(self, upstreams: Upstreams) -> bool:
        """Have it be the catalog of these upstreams from now on; whether that changes it. See `tell`.

        What a changed one offered stays until it has listed anew, as far as it may still be seen.
        """
        before, self._upstreams = self._upstreams, upstreams
        shown = {offer.upstream: offer for offer in self.snapshot.catalog.offers}
        self.known = {
            name: _as_configured(shown.get(name), settings)
            if name in before
            else self._last_offer(name, settings)
            for name, settings in upstreams.items()
        }
        self._listed = {
            name
            for name, offer in self.known.items()
            if (name in self._listed if name in before else offer is not None)
        }
        return self._show(_catalog(upstreams, self.known))

    def take_index(self, index: ToolIndex) -> None:
        """Have searches use a better index of the same tools."""
        self.snapshot = replace(self.snapshot, index=index)

    async def tell(self) -> None:
        """Tell the listeners of a change."""
        for listener in tuple(self._listeners):
            await listener()

    def _last_offer(self, name: str, settings: StdioUpstream | HttpUpstream) -> Offer | None:
        """What an upstream offered last, as far as it may be shown."""
        offer = self._cache.load(name, settings)
        return self._pinning.admit_now(offer, settings) if offer else None

    async def _show_again(self, offer: Offer) -> None:
        settings = self._upstreams.get(offer.upstream)
        shown = _as_configured(offer, settings) if settings else None
        if shown and self._show(self.snapshot.catalog.with_offer(shown)):
            await self.tell()

    def _show(self, catalog: Catalog) -> bool:
        """Have requests see this catalog from now on; False if it is the one they see already."""
        before = self.snapshot.catalog
        if catalog.offers == before.offers:
            return False
        self.snapshot = self.snapshot.showing(catalog)
        for problem in set(catalog.problems) - set(before.problems):
            log.warning(
                "catalog.problem", upstream=problem.upstream, name=problem.name, problem=problem.message
            )
        return True


def _catalog(upstreams: Upstreams, offers: Mapping[str, Offer | None]) -> Catalog:
    """The catalog of what the upstreams offer.

    An empty offer for those of which nothing is known, so that the order is the configured one whoever
    connects first.
    """
    return Catalog(
        tuple(offers.get(name) or Offer(name, upstream.prefix) for name, upstream in upstreams.items())
    )


def _as_configured(offer: Offer | None, settings: StdioUpstream | HttpUpstream) -> Offer | None:
    """What a changed upstream offered last, under its new prefix and as far as it may be seen now."""
    if offer is None:
        return None
    return visible(replace(offer, prefix=settings.prefix), settings.allow, settings.deny)
