"""Any stdio server over HTTP+SSE: `bridge.py --port N [oddities] -- COMMAND ARGS` runs one for each event stream.

Written by hand, so that it can do what no SDK would: see the options.
"""

import argparse
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from subprocess import PIPE
from typing import Any

import anyio
import uvicorn
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--path", default="/sse", help="where the event stream is")
parser.add_argument("--endpoint", help="what the stream says messages are to be posted to")
parser.add_argument("--token", help="let nobody in without this bearer token")
parser.add_argument("--garbage", action="store_true", help="put things no one understands among the events")
parser.add_argument("--hold", action="store_true", help="answer the POST of a call only when all has ended")
parser.add_argument("--refuse", type=int, help="answer the POST of a call of `echo` with this status")
parser.add_argument("--mute", action="store_true", help="end the stream before it says anything")
parser.add_argument("command", nargs="+")
options = parser.parse_args()

GARBAGE = (
    ": a comment\n\n"
    "event: vendor/heartbeat\ndata: {}\n\n"
    "event: message\ndata: no JSON\n\n"
    'data: {"jsonrpc": "2.0"}\n\n'
    "data: [1, 2]\n\nid: 7\n\nretry: soon\nwhat is this\n\ndata:\n\n"
)
sessions: dict[str, Process] = {}


@asynccontextmanager
async def running(number: str) -> AsyncGenerator[Process]:
    async with await anyio.open_process(options.command, stdin=PIPE, stdout=PIPE, stderr=None) as process:
        sessions[number] = process
        try:
            yield process
        finally:
            del sessions[number]
            process.kill()


async def events() -> AsyncGenerator[str]:
    if options.mute:
        return
    number = os.urandom(8).hex()
    async with running(number) as process:
        assert process.stdout
        lines = BufferedByteReceiveStream(process.stdout)
        if options.garbage:
            yield GARBAGE
        yield f"event: endpoint\ndata: {options.endpoint or '/messages'}?session={number}\n\n"
        while True:
            try:
                line = await lines.receive_until(b"\n", 1 << 26)
            except (anyio.EndOfStream, anyio.IncompleteRead):
                return
            if options.garbage:
                yield GARBAGE
            yield f"event: message\ndata: {line.decode()}\n\n"


async def stream(request: Request) -> Response:
    if options.token and request.headers.get("authorization") != f"Bearer {options.token}":
        return PlainTextResponse("Who are you?", 401)
    return StreamingResponse(events(), media_type="text/event-stream")


async def message(request: Request) -> Response:
    process = sessions.get(request.query_params["session"])
    if process is None or process.stdin is None:
        return PlainTextResponse("No such session", 404)
    body: dict[str, Any] = await request.json()
    is_call = body.get("method") == "tools/call"
    if options.refuse and is_call and body["params"]["name"] == "echo":
        return PlainTextResponse("Not this one", options.refuse)
    await process.stdin.send(json.dumps(body).encode() + b"\n")
    if options.hold and is_call:
        await process.wait()
    return PlainTextResponse("Accepted", 202)


routes = [Route(options.path, stream, methods=["GET"]), Route("/messages", message, methods=["POST"])]
uvicorn.run(Starlette(routes=routes), port=options.port, log_level="warning")
