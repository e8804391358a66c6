"""The store: shared by processes, and not to be brought down by what becomes of its file."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mcp_proxy.config import HttpUpstream, StdioUpstream
from mcp_proxy.pin_store import Pins, PinStoreError, SqlitePinStore
from mcp_proxy.pinning import source_of
from tests.pins.served import tool
from tool_registry.pins import Pin

PIN = Pin("a", trusted=tool("a"), waiting=tool("a", "A \U0001f600 \u200b"), gone=True, former=("1:x", "1:y"))


@pytest.fixture
def store(tmp_path: Path) -> SqlitePinStore:
    return SqlitePinStore(tmp_path / "deep" / "pins.sqlite")


def keep(*pins: Pin) -> Callable[[Pins], tuple[Pin, ...]]:
    return lambda _: pins


def test_pins_come_back_as_they_were_kept(store: SqlitePinStore) -> None:
    assert store.load("x") == {}
    before, after = store.revise("x", keep(PIN, Pin("b")))
    assert (before, after) == ({}, {"a": PIN, "b": Pin("b")})
    assert SqlitePinStore(store.path).load("x") == after
    assert store.load("y") == {}
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert (store.forget("x"), store.load("x")) == (2, {})


def test_looking_leaves_no_mark_and_writing_does(store: SqlitePinStore) -> None:
    store.revise("x", keep(PIN))
    mark = store.mark()
    store.load("x")
    store.revise("x", keep())
    assert store.mark() == mark
    SqlitePinStore(store.path).revise("x", keep(Pin("b")))
    assert store.mark() != mark


def test_of_many_that_see_a_server_first_one_decides(store: SqlitePinStore) -> None:
    def first(text: str) -> Callable[[Pins], tuple[Pin, ...]]:
        return lambda pins: () if pins else (Pin("a", trusted=tool("a", text)),)

    def see(number: int) -> Pins:
        return SqlitePinStore(store.path).revise("x", first(f"Text {number}."))[1]

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(see, range(24)))
    assert all(result == results[0] for result in results)


def test_a_kill_in_the_middle_of_writing_leaves_all_or_nothing(store: SqlitePinStore) -> None:
    script = (
        "import sys; from pathlib import Path; from mcp_proxy.pin_store import SqlitePinStore\n"
        "from tool_registry.pins import Pin\n"
        "store = SqlitePinStore(Path(sys.argv[1]))\n"
        "for round in range(10**6):\n"
        "    store.revise('x', lambda _: [Pin(f't{n}', trusted={'name': str(round)}) for n in range(50)])\n"
        "    print(round, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        while writer.stdout.readline() != "2\n":
            pass
        writer.send_signal(signal.SIGKILL)
    pins = store.load("x")
    assert len(pins) == 50
    assert len({str(pin.trusted) for pin in pins.values()}) == 1


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look", b"\0" * 5000])
def test_a_damaged_file_is_set_aside_and_said_to_be(store: SqlitePinStore, content: bytes) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    with capture_logs() as logs:
        assert store.revise("x", keep(PIN)) == ({}, {"a": PIN})
    (aside,) = store.path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content
    (event,) = logs
    assert (event["event"], event["moved_to"]) == ("pins.damaged", str(aside))
    assert store.load("x") == {"a": PIN}


def test_damage_inside_the_file_is_noticed_too(store: SqlitePinStore) -> None:
    store.revise("x", keep(*(Pin(f"t{n}", trusted=tool("t", "x" * 3000)) for n in range(50))))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert store.load("x") == {}
    assert list(store.path.parent.glob("*.damaged-*"))


@pytest.mark.parametrize("spoil", ["PRAGMA user_version = 9", "BEGIN EXCLUSIVE"])
def test_what_cannot_be_used_at_present_is_an_error_that_leaves_the_file_alone(
    tmp_path: Path, spoil: str
) -> None:
    store = SqlitePinStore(tmp_path / "pins.sqlite", busy_timeout=0.1)
    store.revise("x", keep(PIN))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute(spoil)
        with pytest.raises(PinStoreError, match=r"pins\.sqlite cannot be used: "):
            store.revise("x", keep(Pin("b")))
    assert not list(tmp_path.glob("*.damaged-*"))


def test_pins_of_older_builds_are_brought_up_to_date_by_all_who_open_them_at_once(
    store: SqlitePinStore,
) -> None:
    store.path.parent.mkdir()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            "CREATE TABLE pins (source TEXT NOT NULL, name TEXT NOT NULL, trusted TEXT, waiting TEXT,"
            " gone INTEGER NOT NULL, changed_at TEXT NOT NULL, PRIMARY KEY (source, name)) WITHOUT ROWID;"
            """ INSERT INTO pins VALUES ('x', 'a', '{"name": "a"}', NULL, 0, '2026-01-01T00:00:00+00:00');"""
            " PRAGMA user_version = 1;"
        )
    with ThreadPoolExecutor(8) as threads:
        read = list(
            threads.map(SqlitePinStore.load, [SqlitePinStore(store.path) for _ in range(16)], "x" * 16)
        )
    assert read == [{"a": Pin("a", trusted={"name": "a"})}] * 16
    store.revise("x", keep(PIN))
    assert store.load("x") == {"a": PIN}


@pytest.mark.parametrize(
    ("spoil", "remedy"),
    [
        ("PRAGMA user_version = 9", "update mcp-switchboard"),
        ("BEGIN EXCLUSIVE", "another program holds the file"),
        ("DROP TABLE pins; CREATE TABLE pins (something TEXT)", "move it away"),
        ("UPDATE pins SET trusted = '{'", "move it away"),
    ],
)
def test_what_keeps_pins_from_being_used_comes_with_what_to_do(
    tmp_path: Path, spoil: str, remedy: str
) -> None:
    store = SqlitePinStore(tmp_path / "pins.sqlite", busy_timeout=0.1)
    store.revise("x", keep(PIN))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.executescript(spoil)
        with pytest.raises(PinStoreError) as refused:
            store.revise("x", keep(Pin("b")))
    assert remedy in refused.value.remedy


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(PinStoreError):
        SqlitePinStore(tmp_path / "file" / "pins.sqlite").revise("x", keep(PIN))


def stdio(*words: str, **more: str) -> StdioUpstream:
    return StdioUpstream.model_validate({"command": words[0], "args": words[1:], "prefix": "x", **more})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (stdio("npx", "-y", "@a/b@1.0.0", "start"), stdio("npx", "-y", "@a/b@2.1.0-rc.1", "start"), True),
        (stdio("npx", "b@latest"), stdio("npx", "b"), True),
        (stdio("uvx", "b==1.2"), stdio("uvx", "b>=2"), True),
        (stdio("docker", "run", "ghcr.io/a/b:1.0"), stdio("docker", "run", "ghcr.io/a/b:2.0"), True),
        (stdio("docker", "run", "ghcr.io/a/b:1.0"), stdio("docker", "run", "ghcr.io/a/c:1.0"), False),
        (stdio("npx", "@a/b"), stdio("npx", "@a/c"), False),
        (stdio("ssh", "me@one"), stdio("ssh", "me@two"), False),
        (stdio("files", "/a"), stdio("files", "/b"), False),
        (stdio("files", prefix="y"), stdio("files", prefix="x"), True),
        (stdio("serve", "http://localhost:80/x"), stdio("serve", "http://localhost:81/x"), False),
    ],
)
def test_a_new_version_is_the_same_server_and_anything_else_is_another(
    one: StdioUpstream, other: StdioUpstream, *, same: bool
) -> None:
    assert (source_of("x", one) == source_of("x", other)) == same
    assert source_of("x", one) != source_of("y", one)


def test_a_key_in_an_address_makes_no_other_server() -> None:
    urls = ("https://me:pw@a.example/mcp?key=1", "https://a.example/mcp?key=2", "https://b.example/mcp")
    sources = [source_of("x", HttpUpstream(url=url, prefix="x")) for url in urls]
    assert sources[0] == sources[1] != sources[2]
