"""Talks out of turn, as ruv-swarm and flow-nexus do.

Text and JSON that is no message on stdout, at the start and before every reply; a notification
no specification knows; no `ping`; a field of its own on its tool.
"""

from lines import Served, properties, requests, send, tool, write

SHOUT = tool("shout", inputSchema=properties(text={"type": "string"}), vendorField={"kept": True})

noisy = Served("noisy", lambda _: {"tools": [SHOUT]}, lambda _, arguments: arguments["text"].upper())

for line in ("🚀 starting up …", "{not json}", "", "[1, 2]", '"a string"'):
    write(line)
for request in requests():
    write(f"handling {request['method']}")
    send({"method": "notifications/vendor/heartbeat", "params": {"method": request["method"]}})
    noisy.answer(request)
