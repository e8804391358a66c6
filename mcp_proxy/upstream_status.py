"""What is known of an upstream at a moment, and the error of one that cannot be used."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import anyio
import structlog

log = structlog.stdlib.get_logger()


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

    @property
    def trouble(self) -> str:
        """That it cannot be used now, and why, as part of a sentence; empty when it can."""
        match self.state:
            case State.READY | State.IDLE:
                return ""
            case State.DOWN:
                return f"{self.upstream}, which is down: {self.reason}"
            case State.CONNECTING if self.reason:
                return f"{self.upstream}, which is being started again: {self.reason}"
            case State.CONNECTING:
                return f"{self.upstream}, which is still starting"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Standing:
    """The status of an upstream as it changes, and what others wait for in it."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.started = anyio.Event()
        """Set when the first attempt to connect has succeeded or failed."""
        self.settled = anyio.Event()
        """Set while nothing is under way: it is ready, or the last attempt to connect has failed."""

    def become(self, status: Status) -> None:
        """Take note of a change."""
        self.status = status
        if status.state in (State.READY, State.DOWN):
            self.settled.set()
            self.started.set()
        elif self.settled.is_set():
            self.settled = anyio.Event()
        log.info("upstream.state", upstream=status.upstream, state=status.state.value, tools=status.tools)


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


class NoAnswerError(UpstreamUnavailableError):
    """An upstream gave no answer in time. It may still be at it: nothing is known of the call's effect."""

    def __init__(self, upstream: str, limit: float) -> None:
        super().__init__(upstream, f"no answer within {limit:g} s (call_timeout)", in_flight=True)

    def __str__(self) -> str:
        return f"upstream {self.upstream!r} gave {self.reason}; the call may or may not have taken effect"


class SessionLostError(UpstreamUnavailableError):
    """A request was refused because the server no longer knows the session it came in; a new one is being made."""
