"""Slips in profiles: what they name and nothing matches is told, with what may be meant."""

from collections.abc import Collection, Iterator, Mapping

import structlog

from mcp_proxy.config import ProfileTable
from mcp_proxy.doctor import Finding, Level
from mcp_proxy.settings_fields import nearest
from mcp_proxy.switchboard import Switchboard
from tool_registry import Catalog
from tool_registry.profiles import places, unmatched_in, view

log = structlog.stdlib.get_logger()


class ProfileSlips:
    """Looks at the profiles of a switchboard whenever its catalog or they have changed, and logs each slip once."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._told: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """Tell of slips that were not there before. An upstream that was never listed may have what is missing."""
        catalog, unlisted = self._board.snapshot.catalog, self._board.unlisted
        slips = {
            (name, pattern)
            for name, table in self._board.settings.profiles.items()
            for pattern in unmatched_in(catalog, table.profile, unlisted)
        }
        for name, pattern in sorted(slips - self._told):
            log.warning(
                "profile.unmatched", profile=name, pattern=pattern, near=nearest_place(catalog, pattern)
            )
        self._told = slips


def profile_findings(
    catalog: Catalog, profiles: Mapping[str, ProfileTable], unlisted: Collection[str]
) -> Iterator[Finding]:
    """What profiles name and does not exist, and what they ask for that cannot be had.

    `unlisted` are the upstreams of which nothing is known, and which are not judged by.
    """
    for name, table in profiles.items():
        about = f"profile {name}"
        for pattern in unmatched_in(catalog, table.profile, unlisted):
            near = nearest_place(catalog, pattern)
            remedy = f"did you mean {near!r}?" if near else "`switchboard tools` names what there is"
            yield Finding(Level.WARNING, about, f"{pattern!r} matches nothing", remedy)
        for problem in view(catalog, table.profile).problems:
            yield Finding(Level.WARNING, about, str(problem), "correct its table")


def nearest_place(catalog: Catalog, pattern: str) -> str:
    """What a pattern or tool of a profile that matches nothing may be meant to be; empty if nothing is near."""
    whole = (f"{offer.upstream}/*" for offer in catalog.offers)
    return next(iter(nearest(pattern, (*whole, *places(catalog)))), "")
