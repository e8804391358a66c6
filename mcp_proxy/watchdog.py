"""The last line against processes left behind: a small process that ends the upstreams when the proxy is gone.

A proxy that is killed with SIGKILL can clean up nothing. The watchdog holds the other end of a pipe: when
that closes, however it came about, it terminates and then kills every process group it was told of, and what has left
them; see `kin`.
"""

import os
import subprocess
import sys
from typing import IO, Self, cast

from mcp_proxy.kin import MARK

_SCRIPT = """
import os, signal, sys, time
variable, groups = sys.argv[1], {}
for line in sys.stdin:
    group, _, mark = line[1:].strip().partition(" ")
    if line[0] == "+":
        groups[int(group)] = mark
    else:
        groups.pop(int(group), None)
marks = {f"{variable}={mark}".encode() for mark in groups.values() if mark}
def kin():
    for process in os.listdir("/proc") if marks and sys.platform == "linux" else ():
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                if process.isdecimal() and not marks.isdisjoint(file.read().split(b"\\0")):
                    yield int(process)
        except OSError:
            pass
for number, pause in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 0.0)):
    others = list(kin())
    for send, targets in ((os.killpg, list(groups)), (os.kill, others)):
        for target in targets:
            try:
                send(target, number)
            except OSError:
                groups.pop(target, None)
    if groups or others:
        time.sleep(pause)
"""


class Watchdog:
    """The watching process; started when the first group is to be watched."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def watch(self, group: int, mark: str = "") -> None:
        """End process group `group` should this process be gone, and, if it has a mark, everything that bears that."""
        self._tell(f"+{group} {mark}")

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
                [sys.executable, "-S", "-E", "-c", _SCRIPT, MARK],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd="/",
                # Behind another Switchboard we bear a mark too: what ends us must not end the watchdog first.
                env={name: value for name, value in os.environ.items() if name != MARK},
            )
        return self._process
