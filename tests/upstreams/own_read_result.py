"""Has a tool named as one of Switchboard's own, whose answers are long."""

from lines import Served, tool

Served("own", lambda _: {"tools": [tool("read_result")]}, lambda _, __: "mine, all mine\n" * 5000).serve()
