"""`${VARIABLES}` in configuration: environment variables in the place of string values, never of keys."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from mcp_proxy.config_file import ConfigFile, ConfigProblem, KeyPath
from mcp_proxy.settings_fields import FromVariable

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"(?:env:)?(?P<name>[A-Za-z_]\w*)(?P<has_default>:-(?P<default>.*))?", re.DOTALL)

UPSTREAM_DEPTH = 2
"""Keys that lead to an upstream: `upstreams` and its name."""


def variables() -> dict[str, str]:
    """What a configuration may refer to: the environment, and the Python that runs Switchboard."""
    return {**os.environ, "SWITCHBOARD_PYTHON": sys.executable}


@dataclass(frozen=True, slots=True)
class Expanded:
    """A file's data with its variables replaced."""

    data: dict[str, Any]
    unmet: Mapping[KeyPath, ConfigProblem]
    """What could not be replaced, and stands in `data` as it was written."""


def expand(file: ConfigFile, variables: Mapping[str, str]) -> Expanded:
    """The file's data with every `${NAME}` and `${NAME:-default}` replaced, in strings at any depth.

    A disabled upstream is left as it stands: what it refers to need not be set.
    """
    expansion = _Expansion(file, variables)
    return Expanded(expansion.of((), dict(file.data)), expansion.unmet)


class _Expansion:
    """One pass through a file's data."""

    def __init__(self, file: ConfigFile, variables: Mapping[str, str]) -> None:
        self.unmet: dict[KeyPath, ConfigProblem] = {}
        self._file = file
        self._variables = variables

    def of(self, key: KeyPath, value: Any) -> Any:
        """`value` with every reference in its strings replaced; keys are left alone."""
        if isinstance(value, dict):
            table = cast("dict[str, Any]", value)
            if key[:1] == ("upstreams",) and len(key) == UPSTREAM_DEPTH and table.get("enabled") is False:
                return table
            return {name: self.of((*key, name), item) for name, item in table.items()}
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self.of((*key, index), item) for index, item in enumerate(items)]
        if isinstance(value, str):
            replaced = _REFERENCE.sub(lambda reference: self._replacement(key, reference), value)
            return value if replaced == value else FromVariable(replaced)
        return value

    def _replacement(self, key: KeyPath, reference: re.Match[str]) -> str:
        """What stands for one reference, as in a POSIX shell: `:-` covers unset and empty alike."""
        if reference["escaped"]:
            return "${"
        variable = _VARIABLE.fullmatch(reference["inside"])
        if variable is None or not reference["end"]:
            remedy = "write ${NAME} or ${NAME:-default}; a literal ${ is written $${"
            return self._unmet(key, reference, "holds a ${…} that names no environment variable", remedy)
        name, found = variable["name"], self._variables.get(variable["name"])
        if variable["has_default"]:
            return found or variable["default"]
        if found is None:
            remedy = f"set {name}, or give a default: ${{{name}:-…}}"
            return self._unmet(key, reference, f"the environment variable {name} is not set", remedy)
        return found

    def _unmet(self, key: KeyPath, reference: re.Match[str], message: str, remedy: str) -> str:
        self.unmet.setdefault(key, self._file.problem(key, message, remedy))
        return reference[0]
