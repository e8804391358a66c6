"""The cache of vectors: what was kept is there again, whatever happened to the process or the file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mcp_proxy.vector_cache import VectorCache


def vector(number: float) -> NDArray[np.float32]:
    return np.full(384, number, np.float32)


def test_what_was_kept_is_found_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vectors.sqlite"
    first = VectorCache(path, "model")
    assert first.missing(["a", "b", "a"]) == ["a", "b"]
    first.save({"a": vector(1), "\ud800": vector(2)})
    first.close()
    again = VectorCache(path, "model")
    assert again.missing(["a", "b", "\ud800"]) == ["b"]
    assert {text: float(found[0]) for text, found in again.load(["a", "b", "\ud800"]).items()} == {
        "a": 1,
        "\ud800": 2,
    }
    assert path.stat().st_mode & 0o777 == 0o600
    again.close()


def test_another_models_vectors_are_not_found(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    one, other = VectorCache(path, "one"), VectorCache(path, "other")
    one.save({"a": vector(1)})
    assert other.missing(["a"]) == ["a"]
    assert other.load(["a"]) == {}
    one.close()
    other.close()


def test_thousands_are_found_at_once_and_the_oldest_go(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "vectors.sqlite", "model", limit=1500)
    texts = [f"{number}" for number in range(2000)]
    cache.save({text: vector(1) for text in texts})
    assert len(cache.load(texts)) == 1500
    cache.save({"new": vector(1)})
    assert len(cache.load([*texts, "new"])) == 1500
    cache.close()


def test_without_a_file_they_are_kept_in_memory() -> None:
    cache = VectorCache(None, "model")
    cache.save({"a": vector(1)})
    assert cache.missing(["a", "b"]) == ["b"]
    cache.close()


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    path.write_bytes(b"no database at all " * 1000)
    cache = VectorCache(path, "model")
    cache.save({"a": vector(1)})
    cache.close()
    again = VectorCache(path, "model")
    assert again.missing(["a"]) == []
    again.close()


def test_a_file_that_cannot_be_used_leaves_them_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = VectorCache(tmp_path / "file" / "vectors.sqlite", "model")
    cache.save({"a": vector(1)})
    assert cache.missing(["a"]) == []
    cache.close()


def test_after_closing_nothing_is_found_and_nothing_raised(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "vectors.sqlite", "model")
    cache.save({"a": vector(1)})
    cache.close()
    cache.save({"b": vector(1)})
    assert cache.missing(["a", "b"]) == ["a", "b"]


def test_a_killed_process_loses_nothing_that_it_kept(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    writing = [sys.executable, "-m", "tests.search.vectors", str(path)]
    with subprocess.Popen(writing, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        kept = [line.strip() for _, line in zip(range(20), writer.stdout, strict=False)]
        writer.kill()
    cache = VectorCache(path, "fingerprint")
    found = cache.load(kept)
    assert {text: float(vector[0]) for text, vector in found.items()} == {text: float(text) for text in kept}
    cache.save({"after": vector(1)})
    assert cache.missing(["after"]) == []
    cache.close()
