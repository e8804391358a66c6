"""A process of its own that records tasks: `writer.py FILE COUNT [FILE_SIZE_LIMIT]`.

It logs to stderr, prints each id once `record_task` has returned, then `done`, and waits for the end of its stdin.
"""

import resource
import sys
from pathlib import Path

import anyio
import structlog

from mcp_proxy.journal import Journal, TaskRecord


async def main(path: Path, count: int) -> None:
    journal = await Journal.open(path)
    for n in range(count):
        record = TaskRecord(client="writer", text=f"task {n} " + "x" * 500, ending="refused")
        sys.stdout.write(await journal.record_task(record) + "\n")
        sys.stdout.flush()
    sys.stdout.write("done\n")
    sys.stdout.flush()
    await anyio.to_thread.run_sync(sys.stdin.read)
    await journal.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if len(sys.argv) > 3:
        limit = int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
