"""`switchboard completion`: the shells that are installed take the script, and it completes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.setup.command import place


@pytest.mark.parametrize(
    ("shell", "registers"),
    [
        ("bash", "complete -o nosort -F _switchboard_completion switchboard"),
        ("zsh", "compdef _switchboard_completion switchboard"),
        ("fish", "complete --no-files --command switchboard"),
    ],
)
def test_the_script_registers_the_command_with_its_shell(shell: str, registers: str, tmp_path: Path) -> None:
    done = place(tmp_path).run("completion", shell)
    assert done.returncode == 0
    assert registers in done.stdout


def test_bash_completes_commands_and_options_with_it(tmp_path: Path) -> None:
    bash, here = shutil.which("bash"), place(tmp_path)
    assert bash, "this test needs bash"
    script = """
        eval "$(switchboard completion bash)"
        completed() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _switchboard_completion switchboard
            echo "${COMPREPLY[@]}"
        }
        completed switchboard do
        completed switchboard import --d
    """
    path = f"{Path(sys.executable).parent}:{here.environment()['PATH']}"
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env=here.environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["do doctor", "--dry-run"]
