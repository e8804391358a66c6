"""Dies before it says a word, with the reason on stderr: a missing key, a missing package.

`crash_on_start.py FILE` dies only while FILE does not exist, so that a test can heal it.
"""

import sys
from pathlib import Path

from lines import Served, tool

if not (sys.argv[1:] and Path(sys.argv[1]).exists()):
    sys.exit("crash_on_start: EXAMPLE_KEY is not set")

Served("healed", lambda _: {"tools": [tool("recover")]}, lambda _, __: "recovered").serve()
