"""Giving memory back: glibc keeps what large messages took, until it is told that they are gone (malloc_trim(3))."""

import asyncio
import ctypes
import sys
from typing import Any

LARGE = 4 * 1024 * 1024
"""Bytes of a message from which on it is worth the while."""

_AFTER = 1.0
"""Seconds from a large message to the moment when it is no longer needed, most likely."""

_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
_trim: Any = getattr(_libc, "malloc_trim", None)  # of glibc alone
_due: asyncio.TimerHandle | None = None


def give_back_soon() -> None:
    """Have freed memory go back to the system in a moment; does nothing where that takes no asking."""
    global _due  # noqa: PLW0603  there is one heap
    if _trim is not None:
        if _due is not None:
            _due.cancel()
        _due = asyncio.get_running_loop().call_later(_AFTER, _trim, 0)
