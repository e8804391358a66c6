"""`switchboard import`: what becomes of a client's servers, and of the file they are added to."""

import json
import os
import pty
import stat
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_proxy.client_files import ClientServers, application_folder
from mcp_proxy.client_servers import SecretReferences, is_switchboard, translate
from mcp_proxy.config import Settings, settings_of
from mcp_proxy.config_file import read
from mcp_proxy.importers import plan_import
from tests.serving import script
from tests.setup.command import Place, place

CASES = json.loads((Path(__file__).parent / "server_cases.json").read_text(encoding="utf-8"))

PROJECT = Path("/project")

KEPT = (
    '# mine\n[upstreams.mine]  # first\ncommand = "server"   # as I like it\n\n[planner]\nthreshold = 0.7\n'
)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


def put(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def upstreams(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))["upstreams"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_server_of_a_client_becomes_a_table(case: dict[str, Any]) -> None:
    references = SecretReferences()
    made = translate("my-server", case["server"], PROJECT, Path("/elsewhere"), references)
    assert made.table == case["table"]
    assert list(references.stand_for) == case.get("variables", [])
    assert len(made.remarks) == len(case.get("remarks", []))
    for remark, expected in zip(made.remarks, case.get("remarks", []), strict=True):
        assert expected in remark
    assert "s3cret" not in f"{made} {references.stand_for}"


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_abcdefghijklmnop1234",
        "sk-ant-api03-abcdefghijkl",
        "xoxb-1234-abcdefgh",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
        "https://me:pa55word@host/",
    ],
)
@pytest.mark.parametrize(
    "server",
    [
        {"command": "SECRET"},
        {"command": "x", "cwd": "/srv/SECRET"},
        {"command": "x", "args": ["SECRET"]},
        {"command": "x", "args": ["-e", "A=SECRET"]},
        {"command": "x", "args": ["--header", "X: ${B} SECRET"]},
        {"command": "x", "env": {"A": "a SECRET b"}},
        {"command": "x", "env": {"A": "${B:-SECRET}"}},
        {"command": "x", "apiKey": "SECRET"},
        {"url": "https://h/SECRET/mcp"},
        {"url": "https://h/mcp", "headers": {"X": "SECRET"}},
        {"url": "SECRET", "type": "SECRET", "disabled": "SECRET"},
    ],
    ids=json.dumps,
)
def test_no_credential_is_copied_wherever_it_stands(
    server: dict[str, Any], secret: str, tmp_path: Path
) -> None:
    filled = json.loads(json.dumps(server).replace("SECRET", secret))
    change = plan_import([ClientServers(PROJECT, {"x": filled}, PROJECT)], tmp_path / "board.toml", "")
    assert secret not in str(change)


def test_two_secrets_never_share_a_variable_and_one_secret_needs_only_one(tmp_path: Path) -> None:
    servers = {
        name: {"command": "x", "env": {"API_KEY": secret}}
        for name, secret in {"a": "first", "b": "second", "c": "first", "d": "third"}.items()
    }
    change = plan_import([ClientServers(PROJECT, servers, PROJECT)], tmp_path / "switchboard.toml", "")
    referred = {
        name: table["env"]["API_KEY"] for name, table in tomllib.loads(change.text)["upstreams"].items()
    }
    assert referred == {"a": "${API_KEY}", "b": "${B_API_KEY}", "c": "${API_KEY}", "d": "${D_API_KEY}"}
    assert list(change.variables) == ["API_KEY", "B_API_KEY", "D_API_KEY"]


@pytest.mark.parametrize(
    "server",
    [
        {"command": "switchboard", "args": ["serve"]},
        {"command": "/usr/local/bin/switchboard", "args": ["serve", "-c", "x.toml"]},
        {"command": "C:\\tools\\switchboard.exe"},
        {"command": "python", "args": ["-m", "mcp_proxy", "serve"]},
        {"command": "uvx", "args": ["--from", "mcp-switchboard", "switchboard", "serve"]},
    ],
)
def test_switchboard_itself_is_known_however_it_is_started(server: dict[str, Any]) -> None:
    assert is_switchboard("board", server)


def test_a_server_that_works_on_a_folder_called_switchboard_is_not_switchboard() -> None:
    assert not is_switchboard("files", {"command": "server-filesystem", "args": ["/home/me/switchboard"]})


def test_desktop_applications_keep_their_settings_where_their_platform_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("APPDATA", "/roaming")
    assert application_folder("Claude", "darwin") == Path("/home/me/Library/Application Support/Claude")
    assert application_folder("Claude", "win32") == Path("/roaming/Claude")
    assert application_folder("Claude", "linux") == Path("/home/me/.config/Claude")


def in_claude_code(here: Place) -> None:
    put(
        here.project / ".mcp.json",
        {"mcpServers": {"shared": {"command": "project"}, "local": {"command": "no"}}},
    )
    local = {str(here.project): {"mcpServers": {"local": {"command": "local"}}}}
    whole = {"mcpServers": {"shared": {"command": "no"}, "own": {"command": "user"}}, "projects": local}
    put(here.home / ".claude.json", whole)


def in_claude_desktop(here: Place) -> None:
    put(
        application_folder_of(here, "Claude") / "claude_desktop_config.json",
        {"mcpServers": {"own": {"command": "user"}}},
    )


def in_cursor(here: Place) -> None:
    put(here.project / ".cursor" / "mcp.json", {"mcpServers": {"shared": {"command": "project"}}})
    put(
        here.home / ".cursor" / "mcp.json",
        {"mcpServers": {"shared": {"command": "no"}, "own": {"command": "user"}}},
    )


def in_vscode(here: Place) -> None:
    put(
        here.project / ".vscode" / "mcp.json",
        '{\n  // ours\n  "servers": {"shared": {"command": "project"},},\n}',
    )
    put(application_folder_of(here, "Code") / "User" / "mcp.json", {"servers": {"own": {"command": "user"}}})


def application_folder_of(here: Place, application: str) -> Path:
    if sys.platform == "darwin":
        return here.home / "Library" / "Application Support" / application
    return here.home / ".config" / application


@pytest.mark.parametrize(
    ("client", "configure", "expected"),
    [
        ("claude-code", in_claude_code, {"local": "local", "shared": "project", "own": "user"}),
        ("claude-desktop", in_claude_desktop, {"own": "user"}),
        ("cursor", in_cursor, {"shared": "project", "own": "user"}),
        ("vscode", in_vscode, {"shared": "project", "own": "user"}),
    ],
)
def test_a_clients_servers_are_found_where_it_keeps_them_the_projects_before_the_users(
    here: Place, client: str, configure: Any, expected: dict[str, str]
) -> None:
    configure(here)
    done = here.run("import", client, "--yes")
    assert done.returncode == 0, done.stderr
    written = upstreams(here.project / "switchboard.toml")
    assert {name: table["command"] for name, table in written.items()} == expected
    assert tomllib.loads(done.stdout)["upstreams"] == written
    assert f"{len(expected)} upstreams added" in done.stderr


def test_an_imported_server_runs_behind_switchboard_with_its_secret_from_the_environment(here: Place) -> None:
    server = {**script("echo"), "env": {"EXAMPLE_TOKEN": "s3cret"}}
    put(here.project / "servers.json", {"mcpServers": {"echo": server}})
    done = here.run("import", "servers.json", "--yes")
    assert "EXAMPLE_TOKEN: env.EXAMPLE_TOKEN of echo" in done.stderr
    for file in here.project.iterdir():
        assert ("s3cret" in file.read_text()) == (file.name == "servers.json")
    assert "s3cret" not in done.stdout + done.stderr
    unset = here.run("tools")
    assert unset.stdout == ""
    assert "EXAMPLE_TOKEN is not set" in " ".join(unset.stderr.split())
    assert "echo__echo" in here.run("tools", EXAMPLE_TOKEN="x").stdout


def test_what_the_file_holds_stays_byte_for_byte_and_it_keeps_its_mode(here: Place) -> None:
    put(
        here.project / "servers.json",
        {"mcpServers": {"mine": {"command": "no"}, "new one": {"command": "x"}}},
    )
    file = here.project / "switchboard.toml"
    file.write_text(KEPT.removesuffix("\n"), encoding="utf-8")
    file.chmod(0o640)
    done = here.run("import", "servers.json", "--yes")
    assert file.read_text(encoding="utf-8") == f'{KEPT}\n[upstreams."new one"]\ncommand = "x"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert f"mine: kept as it stands in {file}" in done.stderr
    assert sorted(path.name for path in here.project.iterdir()) == ["servers.json", "switchboard.toml"]


def test_windows_line_ends_stay_and_are_used(here: Place) -> None:
    put(here.project / "servers.json", {"mcpServers": {"new": {"command": "x", "args": ["a\nb"]}}})
    file = here.project / "switchboard.toml"
    file.write_bytes(b'[upstreams.mine]\r\ncommand = "server"\r\n')
    assert here.run("import", "servers.json", "--yes").returncode == 0
    assert file.read_bytes().startswith(b'[upstreams.mine]\r\ncommand = "server"\r\n\r\n[upstreams.new]\r\n')
    assert upstreams(file)["new"]["args"] == ["a\nb"]


def test_a_link_stays_a_link(here: Place) -> None:
    put(here.project / "servers.json", {"mcpServers": {"new": {"command": "x"}}})
    put(here.home / "dotfiles" / "board.toml", KEPT)
    link = here.project / "switchboard.toml"
    link.symlink_to(here.home / "dotfiles" / "board.toml")
    assert here.run("import", "servers.json", "--yes").returncode == 0
    assert link.is_symlink()
    assert upstreams(here.home / "dotfiles" / "board.toml").keys() == {"mine", "new"}


def test_importing_again_changes_nothing(here: Place) -> None:
    in_cursor(here)
    here.run("import", "cursor", "--yes")
    before = (here.project / "switchboard.toml").stat()
    again = here.run("import", "cursor", "--yes")
    assert again.returncode == 0
    assert "nothing to add" in again.stderr
    after = (here.project / "switchboard.toml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_file_is_the_one_in_use_unless_another_is_named(here: Place) -> None:
    in_cursor(here)
    users = here.home / ".config" / "switchboard" / "switchboard.toml"
    put(users, KEPT)
    here.run("import", "cursor", "--yes")
    assert upstreams(users).keys() == {"mine", "shared", "own"}
    here.run("import", "cursor", "--yes", "--to", "new/board.toml")
    assert upstreams(here.project / "new" / "board.toml").keys() == {"shared", "own"}
    here.run("-c", "given.toml", "import", "cursor", "--yes")
    assert upstreams(here.project / "given.toml").keys() == {"shared", "own"}


@pytest.mark.parametrize(("args", "code"), [(["--dry-run"], 0), ([], 2)])
def test_nothing_is_written_on_a_dry_run_or_when_nobody_can_be_asked(
    here: Place, args: list[str], code: int
) -> None:
    in_cursor(here)
    done = here.run("import", "cursor", *args)
    assert done.returncode == code
    assert tomllib.loads(done.stdout)["upstreams"].keys() == {"shared", "own"}
    assert not (here.project / "switchboard.toml").exists()


@pytest.mark.parametrize(("answer", "written"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_the_user_at_the_terminal_is_asked_first(here: Place, answer: bytes, *, written: bool) -> None:
    in_cursor(here)
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mcp_proxy", "import", "cursor"],
        cwd=here.project,
        env=here.environment(),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.write(master, answer)
        _, said = process.communicate(timeout=60)
    os.close(terminal)
    os.close(master)
    assert b"Add this to" in said
    assert (here.project / "switchboard.toml").exists() == written
    assert (process.returncode == 0) == written


def test_upstreams_that_would_meet_are_told_apart(tmp_path: Path) -> None:
    text = '[upstreams.a_b]\ncommand = "x"\n[upstreams.c]\ncommand = "x"\nprefix = "d"\n'
    servers = {name: {"command": "y"} for name in ("a b", "a.b", "d")}
    change = plan_import([ClientServers(PROJECT, servers, PROJECT)], tmp_path / "switchboard.toml", text)
    (tmp_path / "switchboard.toml").write_text(change.text)
    settings = Settings.model_validate(tomllib.loads(change.text))
    prefixes = {name: upstream.prefix for name, upstream in settings.upstreams.items()}
    assert prefixes == {"a_b": "a_b", "c": "d", "a b": "a_b_2", "a.b": "a_b_3", "d": "d_2"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('upstreams = { x = { command = "y" } }\n', "write a table [upstreams.name]"),
        ('[upstreams.x]\ncommand = "y"\nprefix = ""\n', "give it a prefix"),
        ("[upstreams.x\n", "is not valid TOML"),
        ("upstreams = 1\n", "should be a table"),
    ],
)
def test_a_file_that_cannot_be_added_to_is_left_alone(here: Place, text: str, says: str) -> None:
    in_cursor(here)
    file = here.project / "switchboard.toml"
    file.write_text(text)
    done = here.run("import", "cursor", "--yes")
    assert done.returncode == 2
    assert says in done.stderr
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("source", "content", "says"),
    [
        ("servers.json", '{"mcpServers": {"x": {"env": {"A": "s3cret" "B": 1}}}}', "is not valid JSON"),
        ("servers.json", '{"mcpServers": {"x": {}, "x": {}}}', "'x' stands twice"),
        ("servers.json", "[]", "give a file with an object of mcpServers"),
        ("cursor", None, "there are no servers in"),
        ("windsurf", None, "is neither a client nor a file"),
    ],
)
def test_a_source_without_servers_is_refused_by_name_and_remedy(
    here: Place, source: str, content: str | None, says: str
) -> None:
    if content is not None:
        put(here.project / source, content)
    done = here.run("import", source, "--yes")
    assert done.returncode == 2
    assert source in done.stderr
    assert says in " ".join(done.stderr.split())
    assert "s3cret" not in done.stderr


def test_a_file_that_is_not_toml_is_no_target(here: Place) -> None:
    in_cursor(here)
    done = here.run("import", "cursor", "--yes", "--to", "mcp.json")
    assert done.returncode == 2
    assert "is not a TOML file" in done.stderr


KEYS = st.sampled_from("command url args env headers cwd type transport disabled timeout".split())
WORDS = st.text(max_size=6) | st.sampled_from(
    ["${A}", "${A:-y}", "${", "$${", "${input:b}", "${c d}", "~", "~nobody/x", "./a", "--token", "K=v", "sse"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | WORDS, inner, max_size=3),
    max_leaves=6,
)
SERVERS = (
    st.dictionaries(
        KEYS,
        VALUES,
        max_size=4,
    )
    | st.fixed_dictionaries(
        {"url": st.sampled_from(["http://h/", "http://h/?token=x", "ftp://h/", "http://[", "${A}"])},
        optional={"headers": VALUES, "type": WORDS, "disabled": VALUES},
    )
    | st.fixed_dictionaries({"command": WORDS}, optional={"args": st.lists(WORDS), "env": VALUES})
)


@given(st.dictionaries(WORDS, SERVERS, max_size=3))
def test_whatever_a_client_lists_the_result_loads_once_its_variables_are_set(servers: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "switchboard.toml"
        change = plan_import([ClientServers(target, servers, PROJECT)], target, KEPT)
        target.write_bytes(change.text.encode())
        # A has a default of the client's, for which the importer cannot vouch.
        known = {"HOME": "/", "A": "http://h/", **dict.fromkeys(change.variables, "http://h/")}
        settings = settings_of(read(target), known)
        assert settings.upstreams.keys() == {"mine", *change.added}
