"""`${VARIABLES}` in configuration: environment variables in the place of string values, never of keys."""

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, cast

from mcp_proxy.config_file import ConfigFile, KeyPath

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"(?:env:)?(?P<name>[A-Za-z_]\w*)(?P<has_default>:-(?P<default>.*))?", re.DOTALL)

_UPSTREAM_DEPTH = 2
"""Keys that lead to an upstream: `upstreams` and its name."""


def variables() -> dict[str, str]:
    """What a configuration may refer to: the environment, and the Python that runs Switchboard."""
    return {**os.environ, "SWITCHBOARD_PYTHON": sys.executable}


def expand(file: ConfigFile, variables: Mapping[str, str]) -> dict[str, Any]:
    """The file's data with every `${NAME}` and `${NAME:-default}` replaced, in strings at any depth.

    A disabled upstream is left as it stands: what it refers to need not be set.

    Raises:
        ConfigError: a variable without a default is not set, or a `${…}` names none.
    """
    return _expanded(file, (), dict(file.data), variables)


def _expanded(file: ConfigFile, key: KeyPath, value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with every reference in its strings replaced; keys are left alone."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        if key[:1] == ("upstreams",) and len(key) == _UPSTREAM_DEPTH and table.get("enabled") is False:
            return table
        return {name: _expanded(file, (*key, name), item, variables) for name, item in table.items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_expanded(file, (*key, index), item, variables) for index, item in enumerate(items)]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda reference: _replacement(file, key, reference, variables), value)
    return value


def _replacement(
    file: ConfigFile, key: KeyPath, reference: re.Match[str], variables: Mapping[str, str]
) -> str:
    """What stands for one reference, as in a POSIX shell: `:-` covers unset and empty alike."""
    if reference["escaped"]:
        return "${"
    variable = _VARIABLE.fullmatch(reference["inside"])
    if variable is None or not reference["end"]:
        remedy = "write ${NAME} or ${NAME:-default}; a literal ${ is written $${"
        raise file.error(key, "holds a ${…} that names no environment variable", remedy)
    name, found = variable["name"], variables.get(variable["name"])
    if variable["has_default"]:
        return found or variable["default"]
    if found is None:
        remedy = f"set {name}, or give a default: ${{{name}:-…}}"
        raise file.error(key, f"the environment variable {name} is not set", remedy)
    return found
