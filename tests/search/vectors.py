"""A process that keeps vectors as fast as it can, until it is killed: `python -m tests.search.vectors FILE`."""

import sys
from itertools import count
from pathlib import Path

import numpy as np

from mcp_proxy.vector_cache import VectorCache

if __name__ == "__main__":
    cache = VectorCache(Path(sys.argv[1]), "fingerprint")
    for number in count():
        cache.save({f"{number}": np.full(384, number % 100, np.float32)})
        print(number, flush=True)  # noqa: T201
