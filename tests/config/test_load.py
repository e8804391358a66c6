"""What becomes of a configuration file: tables of good and bad ones, where it is looked for, what leaks."""

import json
import tempfile
import tomllib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from mcp_proxy.config import ConfigError, HttpUpstream, Settings, StdioUpstream, find, load

HERE = Path(__file__).parent
ONE_UPSTREAM = '[upstreams.x]\ncommand = "server"\n'


def cases(name: str) -> list[Any]:
    table = tomllib.loads((HERE / name).read_text(encoding="utf-8"))["case"]
    return [pytest.param(case, id=case["name"]) for case in table]


def written(folder: Path, case: Mapping[str, Any]) -> Path:
    file = folder / f"switchboard.{case.get('format', 'toml')}"
    file.write_text(case["text"], encoding="utf-8")
    return file


def plain(value: Any, folder: Path) -> Any:
    """Dumped settings as the tables write them: secrets revealed, paths as text, tuples as arrays."""
    match value:
        case dict():
            return {key: plain(item, folder) for key, item in cast("dict[str, Any]", value).items()}
        case list() | tuple():
            return [plain(item, folder) for item in cast("list[Any]", value)]
        case SecretStr():
            return value.get_secret_value()
        case Path() | str():
            return str(value).replace(str(folder), "{folder}")
        case _:
            return value


def assert_holds(whole: Any, part: Any) -> None:
    """Every table of `part` is in `whole`; free tables (env, headers) and other values are equal."""
    for key, expected in part.items():
        if isinstance(expected, dict) and key not in {"env", "headers"}:
            assert_holds(whole[key], expected)
        else:
            assert whole[key] == expected, key


@pytest.fixture(autouse=True)
def _a_quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine's own is found, and no variable of its own is set."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("SWITCHBOARD_CONFIG", "UNSET", "NOT_SET", "NOWHERE", "NOBODY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("case", cases("accepted.toml"))
def test_a_good_configuration_is_read(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in case.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    settings = load(written(tmp_path, case))
    assert_holds(plain(settings.model_dump(), tmp_path), case["holds"])


@pytest.mark.parametrize("case", cases("refused.toml"))
def test_a_bad_configuration_is_refused_by_file_key_and_remedy(case: dict[str, Any], tmp_path: Path) -> None:
    file = written(tmp_path, case)
    with pytest.raises(ConfigError) as caught:
        load(file)
    error = caught.value
    assert len(error.problems) == case.get("count", 1)
    assert (error.problems[0].file, error.problems[0].key) == (file, case["key"])
    assert all(problem.message and problem.remedy for problem in error.problems)
    for part in (str(file), case["key"], *case["says"]):
        assert part in str(error)
    assert "s3cret" not in "".join(traceback.format_exception(error)).replace(case["text"], "")


@pytest.mark.parametrize("case", cases("lacking.toml"))
def test_an_upstream_that_lacks_a_variable_is_there_and_says_so(case: dict[str, Any], tmp_path: Path) -> None:
    upstream = load(written(tmp_path, case)).upstreams["x"]
    assert (upstream.unmet[0].file, upstream.unmet[0].key) == (written(tmp_path, case), case["key"])
    told = "\n".join(map(str, upstream.unmet))
    for part in case["says"]:
        assert part in told
    assert "s3cret" not in told
    assert_holds(plain(upstream.model_dump(), tmp_path), case.get("holds", {}))


def test_what_is_wrong_beside_a_variable_that_is_not_set_is_told(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.toml"
    file.write_text("[upstreams.x]\ncommand = 'x'\nargs = ['${NOT_SET}']\nprefx = 'y'\n")
    with pytest.raises(ConfigError, match="prefx: is no known key"):
        load(file)


def test_settings_differ_once_a_variable_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "switchboard.toml"
    file.write_text("[upstreams.x]\ncommand = 'x'\ncall_timeout = '${NOT_SET}'\n")
    before, again = load(file), load(file)
    monkeypatch.setenv("NOT_SET", "300")
    assert before.upstreams == again.upstreams
    assert before.upstreams != load(file).upstreams


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "absent.toml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.toml"
    file.write_bytes(ONE_UPSTREAM.encode("utf-16"))
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(file)


def test_a_given_file_comes_before_a_named_one_the_working_directory_and_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_file, working, users = (
        tmp_path / "given.toml",
        tmp_path / "work" / "switchboard.toml",
        tmp_path / "config" / "switchboard" / "switchboard.toml",
    )
    for file in (given_file, working, users):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ONE_UPSTREAM)
    monkeypatch.chdir(working.parent)
    assert find(given_file) == given_file
    assert find(Path("../given.toml")).resolve() == given_file
    assert find(None) == working
    monkeypatch.setenv("SWITCHBOARD_CONFIG", "../named.toml")
    assert find(None).resolve() == tmp_path / "named.toml"
    assert find(given_file) == given_file
    monkeypatch.setenv("SWITCHBOARD_CONFIG", "")
    assert find(None) == working
    working.unlink()
    assert find(None) == users
    users.unlink()
    with pytest.raises(ConfigError) as caught:
        find(None)
    for part in (str(working), str(users), "command = ", "--config"):
        assert part in str(caught.value)


def test_a_relative_xdg_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    file = tmp_path / "switchboard.toml"
    file.write_text(ONE_UPSTREAM)
    assert "relative" not in str(load(file).journal.path)


def test_no_secret_shows_when_settings_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.toml"
    file.write_text(
        """
        [upstreams.a]
        command = "server"
        args = ["--token", "s3cret"]
        env = { TOKEN = "s3cret" }
        [upstreams.b]
        url = "https://user:s3cret@host/mcp?key=s3cret"
        headers = { Authorization = "s3cret" }
        [escalation]
        model = "m"
        api_key = "s3cret"
        """
    )
    settings = load(file)
    assert "s3cret" not in f"{settings} {settings!r} {settings.upstreams} {settings.escalation!r}"


def test_only_enabled_upstreams_are_to_be_started(tmp_path: Path) -> None:
    file = tmp_path / "switchboard.toml"
    file.write_text(f'{ONE_UPSTREAM}[upstreams.y]\nurl = "http://h/"\nenabled = false\n')
    settings = load(file)
    assert list(settings.upstreams) == ["x", "y"]
    assert list(settings.enabled_upstreams) == ["x"]


def test_settings_can_be_made_without_a_file() -> None:
    settings = Settings(
        upstreams={
            "a": StdioUpstream(command="./server", prefix="a"),
            "b": HttpUpstream(url="http://127.0.0.1:3000/mcp", prefix="b"),
        }
    )
    assert [type(upstream) for upstream in settings.upstreams.values()] == [StdioUpstream, HttpUpstream]


def test_settings_cannot_be_changed() -> None:
    settings = Settings(upstreams={"a": StdioUpstream(command="server", prefix="a")})
    with pytest.raises(ValidationError, match="frozen"):
        settings.planner.threshold = 0.0


KEYS = st.sampled_from(
    "command url args env headers cwd type transport disabled enabled prefix protocol call_timeout".split()
)
TEXT = st.text(max_size=8) | st.sampled_from(
    ["${HOME}", "${X:-y}", "${", "$${", "~", "~nobody/x", "./a", "http://h/", "sse"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(TEXT, st.dictionaries(KEYS | TEXT, VALUES | TEXT, max_size=5) | VALUES, max_size=3))
def test_whatever_stands_in_a_file_makes_settings_or_a_config_error(servers: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mcp.json"
        file.write_text(json.dumps({"mcpServers": servers}))
        try:
            assert load(file).upstreams.keys() == servers.keys()
        except ConfigError as error:
            assert {problem.file for problem in error.problems} == {file}  # noqa: PT017  either outcome is right; any other exception is not
