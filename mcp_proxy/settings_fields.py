"""What the tables of the configuration are made of: kinds of values, and how a validator refuses one. Pure but for paths."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

_SHORTEST_TOKEN = 16

_HTTP_URL = TypeAdapter(HttpUrl)

NOT_HTTP = ("is not an HTTP address", "write one such as http://127.0.0.1:3000/mcp")


def refusal(message: str, remedy: str, *at: str) -> PydanticCustomError:
    """A validator's verdict, to be told as a ConfigError; `at` leads on from the validated value."""
    return PydanticCustomError("config", "{message}", {"message": message, "remedy": remedy, "at": at})


def _beside_file(path: Path, info: ValidationInfo) -> Path:
    """A path with `~` expanded; a relative one starts at the configuration file's folder."""
    try:
        path = path.expanduser()
    except RuntimeError:
        raise refusal("names a home folder that is not known", "write the path out") from None
    return cast("Path", info.context) / path if info.context else path


def command_path(command: str, info: ValidationInfo) -> str:
    """A bare name is looked up on PATH when it is started; anything else is a path."""
    return str(_beside_file(Path(command), info)) if {"/", os.sep} & set(command) else command


def is_http(url: str) -> bool:
    try:
        _HTTP_URL.validate_python(url)
    except ValidationError:
        return False
    return True


def http_url(url: str) -> str:
    if not is_http(url):
        raise refusal(*NOT_HTTP)
    return url


def _bearer_token(token: SecretStr) -> SecretStr:
    value = token.get_secret_value()
    if len(value) < _SHORTEST_TOKEN:
        remedy = "make one with: openssl rand -hex 32"
        raise refusal(f"is shorter than {_SHORTEST_TOKEN} characters, and could be guessed", remedy)
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise refusal("cannot stand in a header", "use letters, digits and -._~+/= only")
    return token


def _some_bytes(size: ByteSize) -> ByteSize:
    if size < 1:
        raise refusal("lets nothing in", "give it a size such as 4 MiB")
    return size


Bytes = Annotated[ByteSize, AfterValidator(_some_bytes)]
HttpAddress = Annotated[str, AfterValidator(http_url)]
FilePath = Annotated[Path, AfterValidator(_beside_file)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
BearerToken = Annotated[SecretStr, AfterValidator(_bearer_token)]


def nearest(unknown: str, known: Iterable[str]) -> list[str]:
    """The known key that `unknown` is most likely meant to be; empty when none is near."""
    return get_close_matches(unknown, list(known), n=1, cutoff=0.6)


def _kinds(annotation: Any) -> set[Any]:
    """The types a value may have, by its field's annotation."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(parts[0])
    if origin in (Union, UnionType):
        return set[Any]().union(*map(_kinds, parts))
    return {annotation}


class FromVariable(str):
    """A value that an environment variable gave: the only text that may stand for a number, or for true or false."""

    __slots__ = ()


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_written_as_what_it_is(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse "5" for 5 and "false" for false, and either for the other: pydantic would guess."""
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, FromVariable) or not isinstance(value, str | bool | int):
            return value
        if bool in kinds and not isinstance(value, bool):
            raise PydanticKnownError("bool_type")
        if kinds & {int, float} and isinstance(value, str | bool):
            raise PydanticKnownError("float_type" if float in kinds else "int_type")
        return value
