"""A notebook in one SQLite file, as an MCP server over stdio."""

import argparse
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from mcp import MCPError
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import INVALID_PARAMS, ToolAnnotations
from pydantic import BaseModel, Field, StringConstraints

from mcp_proxy import __version__

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the id of a deleted note is not used again
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    tags TEXT NOT NULL,                    -- a JSON array of strings
    created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE VIRTUAL TABLE IF NOT EXISTS note_words USING fts5 (
    title, text, tags, content = 'notes', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE TRIGGER IF NOT EXISTS note_added AFTER INSERT ON notes BEGIN
    INSERT INTO note_words (rowid, title, text, tags) VALUES (new.id, new.title, new.text, new.tags);
END;
CREATE TRIGGER IF NOT EXISTS note_deleted AFTER DELETE ON notes BEGIN
    INSERT INTO note_words (note_words, rowid, title, text, tags)
    VALUES ('delete', old.id, old.title, old.text, old.tags);
END;
"""

_ADD = "INSERT INTO notes (title, text, tags) VALUES (?, ?, ?) RETURNING *"
_READ = "SELECT * FROM notes WHERE id = ?"
_DELETE = "DELETE FROM notes WHERE id = ? RETURNING *"
_LIST = """
SELECT *, substr(text, 1, 160) AS excerpt FROM notes
WHERE ?1 = '' OR EXISTS (SELECT 1 FROM json_each(notes.tags) WHERE value = ?1)
ORDER BY id DESC LIMIT ?2
"""
_SEARCH = """
SELECT notes.*, snippet(note_words, 1, '', '', '…', 24) AS excerpt
FROM note_words JOIN notes ON notes.id = note_words.rowid
WHERE note_words MATCH ? ORDER BY rank LIMIT ?
"""
_PROMPT_LIMIT = 50
"""How many notes one prompt may carry, newest first."""

_hints = partial(ToolAnnotations, open_world_hint=False)
_READS = _hints(read_only_hint=True, destructive_hint=False, idempotent_hint=True)
_ADDS = _hints(read_only_hint=False, destructive_hint=False, idempotent_hint=False)
_DELETES = _hints(read_only_hint=False, destructive_hint=True, idempotent_hint=True)

NoteId = Annotated[
    int, Field(ge=1, description="The note's number, as add_note, list_notes or search_notes gave it")
]
Limit = Annotated[int, Field(ge=1, le=100, description="The most notes to return")]


class Note(BaseModel):
    """A whole note."""

    id: int
    title: str
    text: str
    tags: list[str]
    created: str = Field(description="When it was written: UTC, ISO 8601")


class NoteSummary(BaseModel):
    """A note without its full text."""

    id: int
    title: str
    tags: list[str]
    created: str = Field(description="When it was written: UTC, ISO 8601")
    excerpt: str = Field(description="A piece of the text: where the search hit it, else its start")


class NoteList(BaseModel):
    """The notes that were asked for."""

    notes: list[NoteSummary]


class Notebook:
    """Notes in a SQLite file (WAL). Its public methods are tools: clients read their docstrings.

    Raises:
        sqlite3.Error: the file cannot be opened, or is something other than a database.
    """

    def __init__(self, database: Path) -> None:
        # Autocommit: every method is a single statement, hence a single transaction.
        self._connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(_SCHEMA)
        self._turn = Lock()  # the SDK runs tools in worker threads; the connection takes one at a time

    def close(self) -> None:
        self._connection.close()

    def add_note(
        self,
        title: Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
            Field(description="A short title for the note"),
        ],
        text: Annotated[str, Field(max_length=100_000, description="What the note says; Markdown is fine")],
        tags: Annotated[
            list[str],
            Field(max_length=20, description="Words to file the note under, such as work or recipe"),
        ] = [],  # noqa: B006  pydantic copies defaults; None would widen the schema to "array or null"
    ) -> Note:
        """Write a new note into the notebook, with optional tags, and return it with its id."""
        kept = sorted({tag for raw in tags if (tag := _as_tag(raw))})
        return _note(self._rows(_ADD, title, text, json.dumps(kept, ensure_ascii=False))[0])

    def search_notes(
        self,
        query: Annotated[
            str, Field(max_length=500, description="Words to look for, such as: dentist tuesday")
        ],
        limit: Limit = 10,
    ) -> NoteList:
        """Find notes whose title, text or tags contain every word of a query, best match first."""
        if not (words := query.replace("\0", " ").split()):
            raise ToolError("query is blank; give at least one word, or call list_notes for all notes")
        # Quoted, a word cannot be FTS5 syntax; the star lets "meet" find "meeting".
        match = " ".join('"' + word.replace('"', '""') + '"*' for word in words)
        return _note_list(self._rows(_SEARCH, match, limit))

    def list_notes(
        self,
        tag: Annotated[str, Field(description="Only notes filed under this tag; empty for all notes")] = "",
        limit: Limit = 20,
    ) -> NoteList:
        """List the newest notes, all of them or those with one tag."""
        return _note_list(self._rows(_LIST, _as_tag(tag), limit))

    def read_note(self, id: NoteId) -> Note:  # noqa: A002  the name clients send
        """Read one whole note by its id."""
        return self._one(_READ, id)

    def delete_note(self, id: NoteId) -> Note:  # noqa: A002
        """Delete one note for good by its id, and return what it said."""
        return self._one(_DELETE, id)

    def note_as_markdown(self, id: str) -> str:  # noqa: A002
        """One note as Markdown: its title, then its text."""
        note = self._one(_READ, id)
        return f"# {note.title}\n\n{note.text}\n"

    def summarise_notes(
        self, tag: Annotated[str, Field(description="The tag whose notes to summarise, such as work")]
    ) -> str:
        """Ask for a summary of the notes filed under one tag."""
        notes = [_note(row) for row in self._rows(_LIST, _as_tag(tag), _PROMPT_LIMIT)]
        if not notes:
            raise MCPError(INVALID_PARAMS, f"No note has the tag {tag!r}; list_notes shows the tags in use")
        pages = "\n\n".join(
            f"## {note.title} (note {note.id}, {note.created})\n{note.text}" for note in notes
        )
        return (
            f"Summarise my notes tagged {tag!r} in at most five bullet points, "
            f"naming the note each point comes from.\n\n{pages}"
        )

    def _one(self, statement: str, id: int | str) -> Note:  # noqa: A002
        # As text: the column's affinity compares it as a number, and one beyond 64 bits is only not found.
        rows = self._rows(statement, str(id))
        if not rows:
            raise ResourceNotFoundError(f"No note has the id {id}; list_notes and search_notes show the ids")
        return _note(rows[0])

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        try:
            with self._turn:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            raise ToolError(f"The notes database could not be used: {error}; try again later") from error


def _as_tag(text: str) -> str:
    return text.strip().lower()


def _note(row: sqlite3.Row) -> Note:
    return Note.model_validate(_fields(row))


def _note_list(rows: list[sqlite3.Row]) -> NoteList:
    return NoteList(notes=[NoteSummary.model_validate(_fields(row)) for row in rows])


def _fields(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "tags": json.loads(row["tags"])}


def notes_server(notebook: Notebook) -> MCPServer[Any]:
    """An MCP server for `notebook`: five tools, the resource template `note://{id}` and one prompt."""
    server: MCPServer[Any] = MCPServer(
        "notes",
        title="Notes",
        version=__version__,
        instructions="A notebook: write, find, read and delete short notes. Notes are known by number.",
        log_level="WARNING",
    )
    for tool, title, effect in (
        (notebook.add_note, "Add a note", _ADDS),
        (notebook.search_notes, "Search the notes", _READS),
        (notebook.list_notes, "List the notes", _READS),
        (notebook.read_note, "Read a note", _READS),
        (notebook.delete_note, "Delete a note", _DELETES),
    ):
        # Clients older than 2025-06-18 look for the title among the annotations.
        server.add_tool(tool, title=title, annotations=effect.model_copy(update={"title": title}))
    server.resource("note://{id}", name="note", title="A note", mime_type="text/markdown")(
        notebook.note_as_markdown
    )
    server.prompt(title="Summarise notes")(notebook.summarise_notes)
    return server


def main() -> None:
    """Serve a notebook over stdio until stdin closes."""
    parser = argparse.ArgumentParser(prog="python -m mcp_proxy.demo.notes", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file; created when absent")
    database: Path = parser.parse_args().database
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        notebook = Notebook(database)
    except (OSError, sqlite3.Error) as error:
        parser.error(
            f"cannot keep notes in {database}: {error}; name a new file or an earlier notes database"
        )
    with closing(notebook):
        notes_server(notebook).run()


if __name__ == "__main__":
    main()
