"""Records of measurements as JSON files. Knows nothing of what was measured."""

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter

R = TypeVar("R")


class Records(Generic[R]):
    """The records of one kind, of which one is kept.

    Args:
        kind: the dataclass of a record.
        path: the file that the published one is kept in.
        indent: of the JSON.
    """

    def __init__(self, kind: type[R], path: Path, indent: int = 2) -> None:
        self._format = TypeAdapter(kind)
        self._path = path
        self._indent = indent

    def save(self, record: R, path: Path) -> None:
        """Write a record to `path`, whose folder need not be there yet."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._format.dump_json(record, indent=self._indent) + b"\n")

    def load(self, path: Path | None = None) -> R:
        """The record in `path`; by default the published one."""
        return self._format.validate_json((path or self._path).read_bytes())
