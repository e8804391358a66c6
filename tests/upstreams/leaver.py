"""Starts children that leave its session, with its standard streams closed to them: one that goes when told, one that does not.

The tool `pids` gives theirs. A minute ends them in any case, so that a failing test leaves nothing behind.
"""

import subprocess
import sys

from lines import Served, tool

GOES = "import signal; signal.alarm(60); signal.pause()"
STAYS = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {GOES}"

children = [
    subprocess.Popen(
        [sys.executable, "-c", code],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for code in (GOES, STAYS)
]
pids = " ".join(str(child.pid) for child in children)
Served("leaver", lambda _: {"tools": [tool("pids")]}, lambda _, __: pids).serve()
