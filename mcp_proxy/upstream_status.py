"""What is known of an upstream at a moment, and the error of one that cannot be used."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where an upstream stands."""

    CONNECTING = "connecting"
    READY = "ready"
    IDLE = "idle"
    """Not running, since nothing is asked of it; the next call starts it."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A definition that an upstream lists and no client is told of."""

    method: str
    """The list it stands in, such as tools/list."""
    name: str
    """Its name there; "?" when it has none."""
    reason: str
    """What the protocol does not allow about it."""

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of an upstream at this moment."""

    upstream: str
    state: State
    reason: str = ""
    """Why it is down or was last, in words for the user; empty once it is ready."""
    outlook: str = ""
    """What becomes of it as long as it is not ready."""
    server: str = ""
    """Name and version the server gives itself."""
    protocol: str = ""
    """Negotiated protocol version."""
    tools: int = 0
    connects: int = 0
    """How many times a connection was made; more than one means it was lost, or given up unused, and made again."""
    start_ms: float = 0.0
    """Milliseconds from the last start until everything was listed."""
    left_out: tuple[LeftOut, ...] = ()
    """What it listed last that the catalog does not have, and why."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class UpstreamUnavailableError(Exception):
    """An upstream could not be reached, or went away before it answered. Nothing is known of the call's effect."""

    def __init__(self, upstream: str, reason: str, *, in_flight: bool = False) -> None:
        self.upstream = upstream
        self.reason = reason
        self.in_flight = in_flight
        """Whether the request had been sent, so that it may have had an effect."""
        detail = (
            "stopped before it answered; the call may or may not have taken effect"
            if in_flight
            else "is not available"
        )
        super().__init__(f"upstream {upstream!r} {detail}: {reason}")
