"""Slips in what clients are shown: what profiles and always_visible name and nothing matches, and what may be meant."""

from collections.abc import Collection, Iterator, Mapping

import structlog

from mcp_proxy.config import ProfileTable, Settings
from mcp_proxy.doctor import Finding, Level
from mcp_proxy.profile_settings import OWN, ExposingTable
from mcp_proxy.settings_fields import nearest
from mcp_proxy.switchboard import Switchboard
from mcp_proxy.tools import OWN_NAMES
from tool_registry import Catalog
from tool_registry.exposure import always_visible, matches
from tool_registry.profiles import Profile, may_be_of, places, unmatched_in, view

log = structlog.stdlib.get_logger()


class ProfileSlips:
    """Looks at the profiles of a switchboard whenever its catalog or they have changed, and logs each slip once."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._told: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """Tell of slips that were not there before. An upstream that was never listed may have what is missing."""
        catalog, unlisted = self._board.snapshot.catalog, self._board.unlisted
        slips = set(_slips(catalog, self._board.settings, unlisted))
        for name, pattern in sorted(slips - self._told):
            whose = {"profile": name} if name else {"key": "server.always_visible"}
            near = nearest_place(catalog, pattern)
            log.warning(
                "profile.unmatched" if name else "server.unmatched", **whose, pattern=pattern, near=near
            )
        self._told = slips


def _slips(catalog: Catalog, settings: Settings, unlisted: Collection[str]) -> Iterator[tuple[str, str]]:
    """What matches nothing, each with the profile that names it: none for what the server does."""
    for pattern in invisible(catalog, settings.server, unlisted):
        yield "", pattern
    for name, table in settings.profiles.items():
        for pattern in profile_slips(catalog, table, unlisted):
            yield name, pattern


def profile_slips(catalog: Catalog, table: ProfileTable, unlisted: Collection[str]) -> list[str]:
    """What a profile names and nothing matches."""
    unseen = invisible(catalog, table, unlisted, table.profile)
    return list(dict.fromkeys((*unmatched_in(catalog, table.profile, unlisted), *unseen)))


def invisible(
    catalog: Catalog, table: ExposingTable, unlisted: Collection[str], profile: Profile | None = None
) -> list[str]:
    """The patterns of `always_visible` that match no tool: none of Switchboard's own, none that clients may see."""
    tools = view(catalog, profile).tools.values()
    own = [place for name in OWN_NAMES for place in (name, f"{OWN}/{name}")]
    return [
        pattern
        for pattern in table.always_visible
        if not always_visible(tools, (pattern,))
        and not any(matches(place, (pattern,)) for place in own)
        and not any(may_be_of(upstream, pattern) for upstream in unlisted)
    ]


def server_findings(catalog: Catalog, server: ExposingTable, unlisted: Collection[str]) -> Iterator[Finding]:
    """What `[server] always_visible` names and does not exist; `unlisted` as in `profile_findings`."""
    for pattern in invisible(catalog, server, unlisted):
        yield _unmatched(catalog, "server", f"always_visible: {pattern!r} matches no tool", pattern)


def profile_findings(
    catalog: Catalog, profiles: Mapping[str, ProfileTable], unlisted: Collection[str]
) -> Iterator[Finding]:
    """What profiles name and does not exist, and what they ask for that cannot be had.

    `unlisted` are the upstreams of which nothing is known, and which are not judged by.
    """
    for name, table in profiles.items():
        about = f"profile {name}"
        for pattern in profile_slips(catalog, table, unlisted):
            yield _unmatched(catalog, about, f"{pattern!r} matches nothing", pattern)
        for problem in view(catalog, table.profile).problems:
            yield Finding(Level.WARNING, about, str(problem), "correct its table")


def _unmatched(catalog: Catalog, about: str, message: str, pattern: str) -> Finding:
    near = nearest_place(catalog, pattern)
    remedy = f"did you mean {near!r}?" if near else "`switchboard tools` names what there is"
    return Finding(Level.WARNING, about, message, remedy)


def nearest_place(catalog: Catalog, pattern: str) -> str:
    """What a pattern or tool of a profile that matches nothing may be meant to be; empty if nothing is near."""
    whole = (f"{offer.upstream}/*" for offer in catalog.offers)
    return next(iter(nearest(pattern, (*whole, *places(catalog)))), "")
