"""Notes each of its starts in a file, a line with its pid: `counted.py FILE TOOL…` serves these tools.

Whatever the tool, it answers with the arguments it got; `pid` answers with the process id.
"""

import json
import os
import sys
from pathlib import Path

from tests.upstreams.lines import Message, Served, properties, tool

file, *names = sys.argv[1:]
with Path(file).open("a", encoding="utf-8") as starts:
    starts.write(f"{os.getpid()}\n")

NUMBER = tool("number", inputSchema=properties(n={"type": "integer"}))


def call(name: str, arguments: Message) -> str:
    return str(os.getpid()) if name == "pid" else json.dumps(arguments)


Served("counted", lambda _: {"tools": [NUMBER if n == "number" else tool(n) for n in names]}, call).serve()
