"""Pins at work: what upstreams offer is held against the pins in the store before anyone sees it.

Which upstream is meant by "the same server as before" is decided here (`source_of`); what is trusted, in
`tool_registry.pins`. A store that cannot be used costs the protection, never a tool: it is said loudly.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import NoReturn, TypeVarTuple, Unpack
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import structlog

from mcp_proxy.config import HttpUpstream, PinSettings, Settings, StdioUpstream
from mcp_proxy.pin_store import Pins, PinStore, PinStoreError, Revise, SqlitePinStore
from tool_registry import Offer
from tool_registry.catalog import Definition
from tool_registry.pins import Pin, Review, Rules, Standing, changed_fields, review
from tool_registry.scan import names_beside, scan

_LOOK_EVERY = 0.5
"""Seconds between looks at the store for what other processes have written: acceptances, other replicas' pins."""

_PACKAGE_VERSION = re.compile(
    r"(?<=[\w\]])(?:@(?:[v^~]?\d|sha256:|(?:latest|next|beta|alpha|canary)$)|[=~!<>]=).*$"
)
_IMAGE = re.compile(r"(?P<name>[\w.-]+(?:/[\w.-]+)+):[\w.-]+")
"""A container image with its tag."""

Endpoint = StdioUpstream | HttpUpstream

Kept = Callable[[Pins, tuple[Pin, ...]], tuple[Pin, ...]]
"""From the pins of a source and those that a review has for it to those of the latter that are kept."""

Ts = TypeVarTuple("Ts")

log = structlog.stdlib.get_logger()


def source_of(name: str, upstream: Endpoint) -> str:
    """What the pins of an upstream go by: its name and what it runs or where it is, as a digest.

    The version of a package (`pkg@1.2`, `pkg==1.2`) is no part of it, so that after an update the changes are
    held against what was trusted. With any other change of the command, the arguments, the folder or the
    address it is another server, which is seen for the first time.
    """
    if isinstance(upstream, StdioUpstream):
        words = [upstream.command, *upstream.args, str(upstream.cwd or "")]
        what = [_unversioned(word) for word in words]
    else:
        parts = urlsplit(upstream.url)
        what = [parts.scheme, parts.netloc.rpartition("@")[2], parts.path]
    return hashlib.sha256(json.dumps([name, *what]).encode()).hexdigest()


def rules_for(settings: PinSettings, upstream: Endpoint) -> Rules:
    """The rules of `[pins]`, as far as the upstream has none of its own."""
    return Rules(
        upstream.on_new or settings.on_new,
        upstream.on_changed or settings.on_changed,
        upstream.on_flagged or settings.on_flagged,
    )


def reviewed_by(settings: Settings, offers: Iterable[Offer]) -> Iterator[Offer]:
    """Offers held against the pins as they stand; nothing is kept.

    Raises:
        PinStoreError: the pins cannot be read.
    """
    store = SqlitePinStore(settings.pins.path)
    for offer in offers:
        upstream = settings.upstreams[offer.upstream]
        pins = store.load(source_of(offer.upstream, upstream))
        yield review(offer, pins, rules_for(settings.pins, upstream), _is_flagged).offer


def _is_flagged(tool: Definition) -> bool:
    """Whether a tool may be held back for its words.

    Without the names of other servers' tools: who may be called must not depend on which server was first.
    """
    return bool(scan(tool))


def _all_of_them(_: Pins, updates: tuple[Pin, ...]) -> tuple[Pin, ...]:
    return updates


def _without_contest(pins: Pins, updates: tuple[Pin, ...]) -> tuple[Pin, ...]:
    """Of what an old list has to say after another process has written, only what nobody else has spoken of.

    Else two processes whose servers differ would overwrite one another's word for ever.
    """
    return tuple(
        pin
        for pin in updates
        if pin.name not in pins or (pin.waiting is not None and pins[pin.name].waiting is None)
    )


class Pinning:
    """The offers of all upstreams, held against their pins."""

    def __init__(self, settings: PinSettings, store: PinStore | None = None) -> None:
        """Pins as `settings` say, kept in `store` (None: in the file they name)."""
        self._settings = settings
        self._store = store or SqlitePinStore(settings.path)
        self._offers: Mapping[str, tuple[Offer, Endpoint]] = {}
        """Replaced whole, never changed: threads read it."""
        self._unkept: dict[str, Pins] = {}
        """Pins of sources that could not be kept, so that a broken store does not make each list a first one."""
        self._failing = False
        self._limiter = anyio.CapacityLimiter(1)

    def admit_now(self, offer: Offer, upstream: Endpoint) -> Offer:
        """As `admit`, without an event loop to go on in the meantime."""
        if not self._settings.enabled:
            return offer
        self._offers = {**self._offers, offer.upstream: (offer, upstream)}
        return self._reviewed(offer, upstream)

    async def admit(self, offer: Offer, upstream: Endpoint) -> Offer:
        """What may be shown of an offer. What is trusted for the first time has been kept when this returns."""
        if not self._settings.enabled:
            return offer
        return await self._in_thread(self.admit_now, offer, upstream)

    async def _in_thread(self, work: Callable[[Unpack[Ts]], Offer], *args: *Ts) -> Offer:
        return await anyio.to_thread.run_sync(work, *args, limiter=self._limiter)

    async def follow(self, show: Callable[[Offer], Awaitable[None]]) -> NoReturn:
        """Hand every offer to `show` anew once another process has changed the pins. Ends only by cancellation."""
        seen = self._store.mark()
        while True:
            await anyio.sleep(_LOOK_EVERY)
            if not self._settings.enabled or (mark := self._store.mark()) == seen:
                continue
            seen = mark
            for name in self._offers:
                offer, upstream = self._offers[name]
                await show(await self._in_thread(self._reviewed, offer, upstream, _without_contest))

    def _reviewed(self, offer: Offer, upstream: Endpoint, kept: Kept = _all_of_them) -> Offer:
        rules = rules_for(self._settings, upstream)
        others = names_beside(offer.upstream, [offer for offer, _ in self._offers.values()])

        def reviewed(pins: Pins) -> Review:
            return review(offer, pins, rules, _is_flagged)

        source = source_of(offer.upstream, upstream)
        before, pins = self._revised(source, lambda pins: kept(pins, reviewed(pins).updates))
        shown = reviewed(pins).offer
        _log_changes(offer.upstream, before, pins, shown)
        _log_findings(offer.upstream, before, pins, others)
        return shown

    def _revised(self, source: str, revise: Revise) -> tuple[Pins, Pins]:
        try:
            revised = self._store.revise(source, revise)
        except PinStoreError as error:
            self._say_failing(error)
            before = self._unkept.get(source, {})
            self._unkept[source] = {**before, **{pin.name: pin for pin in revise(before)}}
            return before, self._unkept[source]
        self._failing = False
        self._unkept[source] = revised[1]
        return revised

    def _say_failing(self, error: PinStoreError) -> None:
        if not self._failing:
            consequence = "what servers list is held against what this process has seen, and nothing older"
            log.error("pins.unavailable", problem=str(error), remedy=error.remedy, consequence=consequence)
        self._failing = True


def _unversioned(word: str) -> str:
    if image := _IMAGE.fullmatch(word):
        return image["name"]
    return _PACKAGE_VERSION.sub("", word)


def _log_changes(upstream: str, before: Pins, pins: Pins, shown: Offer) -> None:
    """Say what is seen for the first time, what has changed, and what is gone."""
    if pins and not before:
        log.info("pins.first_use", upstream=upstream, tools=len(pins))
    for name, pin in pins.items():
        known = before.get(name)
        if known == pin:
            continue
        if reason := shown.quarantined.get(name):
            log.warning("pins.quarantined", upstream=upstream, tool=name, reason=reason)
        elif pin.standing is Standing.CHANGED:
            fields = changed_fields(pin.trusted or {}, pin.waiting or {})
            log.warning("pins.changed", upstream=upstream, tool=name, fields=fields)
        elif pin.gone or (known and known.gone):
            log.info("pins.gone" if pin.gone else "pins.back", upstream=upstream, tool=name)
        elif before and known is None:
            log.info("pins.new", upstream=upstream, tool=name)


def _log_findings(upstream: str, before: Pins, pins: Pins, others: frozenset[str]) -> None:
    """Say what looks like an attack in definitions that were not there before."""
    for name, pin in pins.items():
        seen = before.get(name, Pin(name))
        offered = pin.waiting or pin.trusted
        if offered is not None and offered not in (seen.waiting, seen.trusted):
            for finding in scan(offered, others):
                log.warning(
                    "catalog.flagged",
                    upstream=upstream,
                    tool=name,
                    kind=finding.kind.value,
                    at=finding.pointer,
                    text=finding.excerpt,
                )
