"""Lists 25 tools, ten to a page: a client that ignores `nextCursor` sees fewer than half."""

from lines import Message, Served, tool

PAGE = 10
TOOLS = [tool(f"tool_{number:02}") for number in range(25)]


def page(params: Message) -> Message:
    end = int(params.get("cursor", 0)) + PAGE
    following = {"nextCursor": str(end)} if end < len(TOOLS) else {}
    return {"tools": TOOLS[end - PAGE : end], **following}


Served("paged", page, lambda name, _: name).serve()
