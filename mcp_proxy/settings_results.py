"""What becomes of long results, and what is hidden: the tables `[results]` and `[privacy]`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field

from mcp_proxy.config_file import user_folder
from mcp_proxy.redaction import compile_pattern
from mcp_proxy.settings_fields import Bytes, FilePath, Seconds, Table, Text, refusal
from mcp_proxy.strategy import Privacy

_LEAST_BUDGET = 500


def _budget(tokens: int) -> int:
    if tokens and tokens < _LEAST_BUDGET:
        raise refusal(
            f"is less than {_LEAST_BUDGET} tokens, too few for a useful part",
            "raise it, or set 0 for no limit",
        )
    return tokens


def _pattern(pattern: str) -> str:
    try:
        compile_pattern(pattern)
    except ValueError as error:
        raise refusal(
            f"is no regular expression of RE2: {error}", "see github.com/google/re2/wiki/Syntax"
        ) from None
    return pattern


TokenBudget = Annotated[int, AfterValidator(_budget)]
"""Tokens; 0 for no limit."""


class ResultSettings(Table):
    """How much of a long result a client is given at once, and where the whole is kept for it."""

    budget: TokenBudget = 20_000
    """Tokens (estimated) a result may have; what is longer is cut, and `read_result` gives the rest. 0: no limit."""
    structured: Literal["keep", "shorten"] = "keep"
    """What becomes of a longer `structuredContent` that an outputSchema promises. "keep" cuts in it only what repeats
    the text that is cut; "shorten" leaves out items too, where the schema allows it, or all of it. What no schema
    promises is left out."""
    path: FilePath = Field(default_factory=lambda: user_folder("state") / "results")
    """The folder of the results that were cut. They are kept as they came, credentials included, for you alone."""
    max_age: Seconds = 86_400.0
    """Seconds they are kept."""
    max_size: Bytes = ByteSize(256 * 1024 * 1024)
    """Bytes they may take altogether, or as in "256 MiB"; the oldest go first."""
    max_count: int = Field(default=1000, ge=1)
    """How many are kept at most."""


class PrivacySettings(Table):
    """What may leave the machine, and what is hidden in logs and in the journal, beside what looks like a credential anyway."""

    level: Privacy = "normal"
    """"high": no task is ever passed on to a model elsewhere, whatever [escalation] says."""
    redact: tuple[Annotated[Text, AfterValidator(_pattern)], ...] = ()
    """Regular expressions (RE2) of what else is hidden, such as "ACME-[0-9]{8}"; they take effect at the start."""
