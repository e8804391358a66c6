"""Lists the tools that stand in a JSON file, read anew for every list: a server that is updated, or turns bad.

A call of any tool says its name, after announcing that the list may have changed.
"""

import json
import sys
from pathlib import Path

from lines import Message, Served, send

FILE = Path(sys.argv[1])


def listed(_: Message) -> Message:
    return {"tools": json.loads(FILE.read_text(encoding="utf-8"))}


def call(name: str, _: Message) -> str:
    send({"method": "notifications/tools/list_changed"})
    return f"{name} was called"


Served("from_file", listed, call, list_changed=True).serve()
