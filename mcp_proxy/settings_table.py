"""What all tables of the configuration have in common."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

_SHORTEST_TOKEN = 16


class Table(BaseModel):
    """A table of the configuration: it cannot be changed, knows its keys, and never shows what it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def refusal(message: str, remedy: str, *at: str) -> PydanticCustomError:
    """A validator's verdict, to be told as a ConfigError; `at` leads on from the validated value."""
    return PydanticCustomError("config", "{message}", {"message": message, "remedy": remedy, "at": at})


def _bearer_token(token: SecretStr) -> SecretStr:
    value = token.get_secret_value()
    if len(value) < _SHORTEST_TOKEN:
        remedy = "make one with: openssl rand -hex 32"
        raise refusal(f"is shorter than {_SHORTEST_TOKEN} characters, and could be guessed", remedy)
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise refusal("cannot stand in a header", "use letters, digits and -._~+/= only")
    return token


Text = Annotated[str, Field(min_length=1)]
BearerToken = Annotated[SecretStr, AfterValidator(_bearer_token)]
