"""Says everything it is told wherever it can: on stderr, in errors, in results; and its environment at the start.

With an argument `dies`, it says a secret of its environment and ends.
"""

import json
import os
import sys

from lines import Served, properties, requests, send, tool

CHOICE = properties(value={"type": "string"}, api_key={"type": "string", "maxLength": 3})

TOOLS = [tool("say"), tool("refuse"), tool("fail"), tool("crash"), tool("choosy", inputSchema=CHOICE)]

leaky = Served("leaky", lambda _: {"tools": TOOLS}, lambda _, __: "")


def shout(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


shout(f"starting with {os.environ.get('LEAKY_API_KEY')}")
if "dies" in sys.argv:
    sys.exit(1)

for request in requests():
    if request["method"] != "tools/call":
        leaky.answer(request)
        continue
    name, said = request["params"]["name"], json.dumps(request["params"].get("arguments"))
    shout(f"{name} {said}")
    if name == "crash":
        sys.exit(1)
    if name == "refuse":
        send({"id": request["id"], "error": {"code": -32000, "message": f"refused: {said}"}})
    else:
        result = {"content": [{"type": "text", "text": said}], "isError": name == "fail"}
        send({"id": request["id"], "result": result})
