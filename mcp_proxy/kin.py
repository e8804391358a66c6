"""The processes that came of one start of an upstream, wherever they went: found by a mark in their environment.

A child that leaves its process group (`setsid`, `detached: true` in Node, as browsers are started) cannot be signalled
with the group. On Linux /proc tells what environment each process was started with; elsewhere none is found.
"""

import os
import signal
import sys
import uuid
from contextlib import suppress
from pathlib import Path

MARK = "SWITCHBOARD_UPSTREAM"
"""Environment variable whose value is another for every start of every upstream."""


def new_mark() -> str:
    return uuid.uuid4().hex


def kin(mark: str) -> list[int]:
    """The processes with this mark that still run, as far as they are ours to see; for an empty one, none."""
    if not mark or sys.platform != "linux":
        return []
    wanted = f"{MARK}={mark}".encode()
    found: list[int] = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
    return found


def send_to_kin(mark: str, number: signal.Signals) -> bool:
    """Send a signal to all processes with this mark; whether there were any."""
    found = kin(mark)
    for process in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)
    return bool(found)
