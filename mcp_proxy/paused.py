"""Tasks that wait for an answer their client brings with another call: what was done and planned of them is kept."""

import secrets
import time
from dataclasses import dataclass, field

from local_llm import Plan, Task

KEPT = 600.0
"""Seconds a paused task is kept."""

MOST = 200
"""Paused tasks at once; the oldest is dropped for a new one."""


class UnknownPausedTaskError(Exception):
    """There is no paused task of that name, or no longer."""

    def __init__(self) -> None:
        super().__init__("`resume` is of no task that waits; call again without it")


@dataclass(frozen=True, slots=True)
class Paused:
    """A task that stopped before a call it could not ask about."""

    task: Task
    """With the steps that were made."""
    plan: Plan
    """The call it stopped before."""
    _until: float = field(default_factory=lambda: time.monotonic() + KEPT)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until


class PausedTasks:
    """Paused tasks, by what is given to their clients to take them up again. Each can be taken up once."""

    def __init__(self) -> None:
        self._tasks: dict[str, Paused] = {}

    def keep(self, task: Task, plan: Plan) -> str:
        """Keep a task, and return under what."""
        for key in [key for key, paused in self._tasks.items() if paused.is_over]:
            del self._tasks[key]
        if len(self._tasks) >= MOST:
            del self._tasks[next(iter(self._tasks))]
        handle = secrets.token_urlsafe(12)
        self._tasks[handle] = Paused(task, plan)
        return handle

    def take(self, handle: str) -> Paused | None:
        """The task kept under `handle`, no longer kept; None if there is none, or no longer."""
        paused = self._tasks.pop(handle, None)
        return None if paused is None or paused.is_over else paused
