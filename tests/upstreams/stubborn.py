"""Will not leave: outlives the end of stdin and SIGTERM, and has a child that does too, on the same stdout.

The tool `pids` gives its own process id and its child's. Only SIGKILL to the group ends both at once;
a minute ends them in any case, so that a failing test leaves nothing behind.
"""

import os
import signal
import subprocess
import sys

from lines import Served, tool

WAIT = "import signal; signal.alarm(60); signal.pause()"

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which the child inherits
signal.alarm(60)
child = subprocess.Popen([sys.executable, "-c", WAIT], stdin=subprocess.DEVNULL)
Served("stubborn", lambda _: {"tools": [tool("pids")]}, lambda _, __: f"{os.getpid()} {child.pid}").serve()
signal.pause()
