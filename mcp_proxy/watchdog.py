"""The last line against processes left behind: a small process that ends the upstreams when the proxy is gone.

A proxy that is killed with SIGKILL can clean up nothing. The watchdog holds the other end of a pipe: when
that closes, however it came about, it terminates and then kills every process group it was told of.
"""

import subprocess
import sys
from typing import IO, Self, cast

_SCRIPT = """
import os, signal, sys, time
groups = set()
for line in sys.stdin:
    sign, group = line[0], int(line[1:])
    groups.add(group) if sign == "+" else groups.discard(group)
for number, pause in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 0.0)):
    for group in list(groups):
        try:
            os.killpg(group, number)
        except OSError:
            groups.discard(group)
    if groups:
        time.sleep(pause)
"""


class Watchdog:
    """The watching process; started when the first group is to be watched."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def watch(self, group: int) -> None:
        """End process group `group` should this process be gone."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """The group has ended; its number may mean others some day."""
        self._tell(f"-{group}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()

    def _tell(self, line: str) -> None:
        stdin = cast("IO[str]", self._started().stdin)
        try:
            stdin.write(f"{line}\n")
            stdin.flush()
        except BrokenPipeError:  # somebody killed it; the next one starts with what is told from here on
            self._process = None

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None:
            # A session of its own, so that a signal to the proxy's group does not end the watchdog first.
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd="/",
            )
        return self._process
