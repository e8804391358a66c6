"""What is kept on disk, and where: the tables `[journal]`, `[catalog]`, `[pins]` and `[search]`."""

from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, ByteSize, Field, model_validator

from mcp_proxy.config_file import user_folder
from mcp_proxy.settings_fields import Bytes, FilePath, Seconds, Table


class _KeptOnDisk(Table):
    enabled: bool = True
    """false keeps nothing."""

    @model_validator(mode="before")
    @classmethod
    def _empty_path_is_off(cls, table: object) -> object:
        values = cast("dict[str, object]", table) if isinstance(table, dict) else {}
        if values.get("path") != "":
            return cast("object", table)
        return {key: value for key, value in values.items() if key != "path"} | {"enabled": False}


class JournalSettings(_KeptOnDisk):
    """Where tasks and calls are recorded, and for how long."""

    path: FilePath = Field(default_factory=lambda: user_folder("state") / "journal.sqlite")
    """The SQLite file; empty for none. By default journal.sqlite in the user's folder for state."""
    max_size: Bytes = ByteSize(256 * 1024 * 1024)
    """Bytes the file may have, or as in "256 MiB"; the oldest tasks and calls go first."""
    max_age: Seconds = 7_776_000.0
    """Seconds they are kept; 90 days by default."""


class CatalogSettings(_KeptOnDisk):
    """Where the last known offers of the upstreams are kept, so that the first list need not wait for them."""

    path: FilePath = Field(default_factory=lambda: user_folder("state") / "catalogs")
    """The folder; empty for none. By default catalogs in the user's folder for state."""


class PinSettings(_KeptOnDisk):
    """Holding servers to the tools they had when they were first seen."""

    path: FilePath = Field(default_factory=lambda: user_folder("state") / "pins.sqlite")
    """The SQLite file; empty for none. By default pins.sqlite in the user's folder for state."""
    on_new: Literal["allow", "ask"] = "allow"
    """A tool that a server did not have at first: "ask" has it quarantined until `switchboard pins accept`."""
    on_changed: Literal["quarantine", "warn"] = "quarantine"
    """A tool whose definition has changed: "warn" logs it and lets it be used."""
    on_flagged: Literal["allow", "ask"] = "ask"
    """A tool never seen before whose definition looks like an attack: "allow" logs it and lets it be used."""


def _none_if_empty(path: object) -> object:
    return None if path == "" else path


class SearchSettings(Table):
    """How tools are found, by `do`, `plan`, `find_tools` and `switchboard tools QUERY`."""

    meaning: bool = True
    """Compare meanings as well as words, with the encoder that ships in the package."""
    vectors: Annotated[FilePath | None, BeforeValidator(_none_if_empty)] = Field(
        default_factory=lambda: user_folder("state") / "vectors.sqlite"
    )
    """Where the meanings of tools are kept, so that none is worked out twice; empty for nowhere."""
