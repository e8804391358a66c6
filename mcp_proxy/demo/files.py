"""The files of one folder, as an MCP server over stdio. Nothing outside the folder is read or written.

Paths are relative to the folder. An absolute path, a `..` and anything reached through a link are
refused. The check and the use are two steps, so another program that swaps a folder for a link in
between is not defended against; no tool here can make a link.
"""

import argparse
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from mcp_proxy import __version__

_READ_LIMIT = 1_000_000
"""Largest file that is read or searched, in bytes."""
_LIST_LIMIT = 1000
"""Most entries one listing shows."""
_SEARCH_LIMIT = 10_000
"""Most files one search opens."""
_MATCH_LIMIT = 100
"""Most matches one search returns."""
_LINE_LIMIT = 200
"""How much of a matching line is shown, in characters."""

_hints = partial(ToolAnnotations, open_world_hint=False)
_READS = _hints(read_only_hint=True, destructive_hint=False, idempotent_hint=True)
_REPLACES = _hints(read_only_hint=False, destructive_hint=True, idempotent_hint=True)
_MOVES = _hints(read_only_hint=False, destructive_hint=True, idempotent_hint=False)

FilePath = Annotated[str, Field(description="The file's path inside the folder, such as reports/may.txt")]
FolderPath = Annotated[str, Field(description="A path inside the folder, such as reports; . for all of it")]
Kind = Literal["file", "folder", "link", "other"]


class Entry(BaseModel):
    """One thing in the folder."""

    path: str = Field(description="Relative to the folder, with forward slashes")
    kind: Kind = Field(description="Links are shown, never followed")
    size: int = Field(description="Bytes; 0 for anything but a file")
    modified: str = Field(description="When it last changed: UTC, ISO 8601")


class Listing(BaseModel):
    """What a folder holds, by name."""

    entries: list[Entry]
    truncated: bool = Field(description=f"Whether there are more than the {_LIST_LIMIT} entries shown")


class Match(BaseModel):
    """One line that holds the text searched for."""

    path: str
    line: int = Field(description="Line number, from 1")
    text: str = Field(description=f"The line, at most {_LINE_LIMIT} characters of it")


class Matches(BaseModel):
    """What a search found, by path and line."""

    matches: list[Match]
    truncated: bool = Field(description="Whether the search stopped early, at its limit")


class Folder:
    """The files under `root`. Its public methods are tools: clients read their docstrings."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def list_folder(self, path: FolderPath = ".") -> Listing:
        """List the files and folders in one folder, by name."""
        with _explained(path):
            places = sorted(self._place(path).iterdir())
            entries = [self._entry(place) for place in places[:_LIST_LIMIT]]
            return Listing(entries=entries, truncated=len(places) > _LIST_LIMIT)

    def read_text(self, path: FilePath) -> str:
        """Read a whole text file (UTF-8, up to 1 MB)."""
        with _explained(path):
            place = self._file(path)
            if place.stat().st_size > _READ_LIMIT:
                raise ToolError(f"{path!r} is larger than {_READ_LIMIT} bytes; choose a smaller file")
            try:
                return place.read_bytes().decode()
            except UnicodeDecodeError as error:
                raise ToolError(f"{path!r} is not UTF-8 text; choose a text file") from error

    def write_text(
        self,
        path: FilePath,
        text: Annotated[str, Field(max_length=_READ_LIMIT, description="The file's whole new content")],
    ) -> Entry:
        """Write a text file: make it, with the folders above it, or replace all it held."""
        with _explained(path):
            place = self._place(path)
            if place.exists() and not place.is_file():
                raise ToolError(f"{path!r} is not a file; choose another path")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8", newline="")
            return self._entry(place)

    def search_text(
        self,
        pattern: Annotated[
            str,
            Field(min_length=1, max_length=500, description="Text to look for: no wildcards, case ignored"),
        ],
        path: FolderPath = ".",
    ) -> Matches:
        """Find the lines that hold a text, in all files of a folder and the folders below it, or in one file."""
        with _explained(path):
            place = self._place(path)
            if not place.exists():
                raise FileNotFoundError
            files = iter([place]) if place.is_file() else _files_below(place)
            matches = self._matches(pattern.casefold(), islice(files, _SEARCH_LIMIT))
            found = list(islice(matches, _MATCH_LIMIT + 1))
            stopped = len(found) > _MATCH_LIMIT or next(files, None) is not None
            return Matches(matches=found[:_MATCH_LIMIT], truncated=stopped)

    def move_file(
        self,
        source: FilePath,
        destination: Annotated[str, Field(description="Its new path, where nothing may be yet")],
    ) -> Entry:
        """Move or rename a file, making the folders above its new place. Never replaces anything."""
        with _explained(source):
            origin = self._file(source)
        with _explained(destination):
            target = self._place(destination)
            if target.exists():
                raise ToolError(f"{destination!r} already exists; choose another path or delete it first")
            target.parent.mkdir(parents=True, exist_ok=True)
            return self._entry(origin.rename(target))

    def delete_file(self, path: FilePath) -> Entry:
        """Delete one file for good. Folders are not deleted."""
        with _explained(path):
            place = self._file(path)
            entry = self._entry(place)
            place.unlink()
            return entry

    def _place(self, path: str) -> Path:
        """Where `path` leads: inside the root and through no link, though nothing may be there.

        Raises:
            ToolError: the path leaves the folder, or might.
        """
        relative = PurePath(path)
        if relative.drive or relative.root or ".." in relative.parts or "\0" in path:
            raise ToolError(
                f"{path!r} might leave the folder; give a path relative to it, "
                "without '..', such as reports/may.txt"
            )
        place = self._root
        for part in relative.parts:
            place /= part
            # realpath sees what is_symlink does not: the junctions of Windows.
            if place.is_symlink() or Path(os.path.realpath(place)) != place:
                raise ToolError(
                    f"{self._shown(place)!r} is a link, and links are not followed; "
                    "give the path of the file itself if it is inside the folder"
                )
        return place

    def _file(self, path: str) -> Path:
        """The regular file at `path`; reading anything else, such as a pipe, might never end."""
        place = self._place(path)
        if place.is_dir():
            raise ToolError(f"{path!r} is a folder; give the path of a file, as list_folder shows it")
        if not place.exists():
            raise FileNotFoundError
        if not place.is_file():
            raise ToolError(f"{path!r} is not a regular file; choose one that list_folder shows as a file")
        return place

    def _matches(self, text: str, places: Iterator[Path]) -> Iterator[Match]:
        for place in places:
            for number, line in enumerate(_text_of(place).split("\n"), start=1):
                if text in line.casefold():
                    yield Match(path=self._shown(place), line=number, text=line[:_LINE_LIMIT].rstrip("\r"))

    def _entry(self, place: Path) -> Entry:
        status = place.lstat()
        kind = _kind(status.st_mode)
        modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
        return Entry(
            path=self._shown(place),
            kind=kind,
            size=status.st_size if kind == "file" else 0,
            modified=modified.replace("+00:00", "Z"),
        )

    def _shown(self, place: Path) -> str:
        """The path as clients see it; a file name that is not UTF-8 could not be sent as it stands."""
        return place.relative_to(self._root).as_posix().encode(errors="replace").decode()


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def _files_below(folder: Path) -> Iterator[Path]:
    """The regular files under `folder`, links left out, in a fixed order."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            place = Path(above, name)
            if stat.S_ISREG(place.lstat().st_mode):
                yield place


def _text_of(place: Path) -> str:
    """What a file says; nothing when it is too large, unreadable or not text, for a search passes over it."""
    try:
        return place.read_bytes().decode() if place.stat().st_size <= _READ_LIMIT else ""
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def _explained(path: str) -> Generator[None]:
    """What the operating system refuses becomes a tool error that names `path`."""
    try:
        yield
    except FileNotFoundError as error:
        raise ToolError(f"There is nothing at {path!r}; list_folder shows what there is") from error
    except (NotADirectoryError, FileExistsError) as error:
        raise ToolError(
            f"{path!r} is not a folder, or a file stands above it; choose another path"
        ) from error
    except (OSError, UnicodeEncodeError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid here"
        raise ToolError(f"{path!r} could not be used: {reason}; choose another path") from error


def files_server(folder: Folder) -> MCPServer[Any]:
    """An MCP server for `folder`: six tools."""
    server: MCPServer[Any] = MCPServer(
        "files",
        title="Files",
        version=__version__,
        instructions="The files of one folder: list, read, search, write, move, delete. Paths are relative to it.",
        log_level="WARNING",
    )
    for tool, title, effect, structured in (
        (folder.list_folder, "List a folder", _READS, True),
        # Unstructured: the text itself, not the text and a JSON copy of it.
        (folder.read_text, "Read a text file", _READS, False),
        (folder.write_text, "Write a text file", _REPLACES, True),
        (folder.search_text, "Search the files", _READS, True),
        (folder.move_file, "Move or rename a file", _MOVES, True),
        (folder.delete_file, "Delete a file", _REPLACES, True),
    ):
        # Clients older than 2025-06-18 look for the title among the annotations.
        annotations = effect.model_copy(update={"title": title})
        server.add_tool(tool, title=title, annotations=annotations, structured_output=structured)
    return server


def main() -> None:
    """Serve a folder over stdio until stdin closes."""
    parser = argparse.ArgumentParser(
        prog="python -m mcp_proxy.demo.files", description="Serve the files of one folder over MCP on stdio."
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder to serve; it must exist")
    root: Path = parser.parse_args().root
    if not root.is_dir():
        parser.error(f"--root {root} is not a folder; create it or name another")
    files_server(Folder(root)).run()


if __name__ == "__main__":
    main()
