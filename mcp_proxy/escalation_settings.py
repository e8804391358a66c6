"""Who is asked above the local planners, and what that may cost: the table `[escalation]`, and budgets. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from mcp_proxy.proposals import Usage
from mcp_proxy.settings_fields import HttpAddress, Seconds, Table, Text, refusal

Above = Literal["client", "claude"]
"""Whose model may be asked: that of the client, or Claude."""

_NOT_CONFIGURED = (
    'No escalation is configured: an [escalation] table would pass such tasks to Claude, or, with order = ["client"], '
    "to the client's own model"
)
_PRIVATE = "Escalation is configured, and was left out: privacy is high, so that nothing of the task leaves the machine"


class Prices(Table):
    """Dollars per million tokens."""

    input: float = Field(ge=0)
    """For what the model reads."""
    output: float = Field(ge=0)
    """For what it writes."""
    cache_write: float = Field(ge=0)
    """For what is put into the prompt cache."""
    cache_read: float = Field(ge=0)
    """For what is taken from the prompt cache."""

    def cost(self, usage: Usage) -> float:
        """What `usage` costs, in dollars."""
        millionths = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_write_tokens * self.cache_write
            + usage.cache_read_tokens * self.cache_read
        )
        return millionths / 1e6

    def at_most(self, read: int, written: int) -> float:
        """What reading and writing so many tokens can cost, in dollars, whatever the prompt cache does."""
        return (read * max(self.input, self.cache_write, self.cache_read) + written * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Amount:
    """What requests took, or may take."""

    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0


class Budget(Table):
    """What escalation may spend. A request is sent only if the most it can cost is within all of it."""

    max_calls_per_day: int | None = Field(default=None, ge=0)
    """Requests a day (UTC); left out, any number."""
    max_dollars_per_day: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Dollars a day, by `prices`; left out, any amount."""
    max_tokens_per_day: int | None = Field(default=None, ge=0)
    """Tokens a day, read and written, from the prompt cache or not."""
    max_dollars_per_task: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Dollars for one task, however many calls it takes."""
    max_tokens_per_task: int | None = Field(default=None, ge=0)
    """Tokens for one task."""

    @property
    def counts_dollars(self) -> bool:
        """Whether it can be kept to only where prices are known."""
        return self.max_dollars_per_day is not None or self.max_dollars_per_task is not None

    def refusal(self, day: Amount, task: Amount, bound: Amount) -> str | None:
        """Why a request that takes at most `bound` may not be made; None if it may.

        Args:
            day: what was spent, or set aside for requests under way, since the day began.
            task: the same for the task alone.
            bound: the most the request can take.
        """
        for what, limit, spent, more in self._limits(day, task, bound):
            if limit is not None and spent + more > limit:
                known = f"{_amount(spent)} are spent or set aside, the next request may take {_amount(more)}"
                return f"the budget of {_amount(limit)} {what} does not allow it: {known}"
        return None

    def _limits(
        self, day: Amount, task: Amount, bound: Amount
    ) -> Iterator[tuple[str, float | None, float, float]]:
        """Each limit as (what it counts, the limit, what is spent of it, what the next request may add)."""
        yield "requests a day", self.max_calls_per_day, day.calls, bound.calls
        yield "dollars a day", self.max_dollars_per_day, day.dollars, bound.dollars
        yield "tokens a day", self.max_tokens_per_day, day.tokens, bound.tokens
        yield "dollars for a task", self.max_dollars_per_task, task.dollars, bound.dollars
        yield "tokens for a task", self.max_tokens_per_task, task.tokens, bound.tokens

    @property
    def described(self) -> str:
        """Its limits in words; empty when there are none."""
        limits = self._limits(Amount(), Amount(), Amount())
        return ", ".join(f"{_amount(limit)} {what}" for what, limit, *_ in limits if limit is not None)


def _amount(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.4f}".rstrip("0").rstrip(".")


def _key(key: SecretStr) -> SecretStr:
    value = key.get_secret_value()
    if not value or not all("!" <= character <= "~" for character in value):
        raise refusal("is empty or holds spaces or characters no key has", "copy it again")
    return key


ApiKey = Annotated[SecretStr, AfterValidator(_key)]


class _ClaudeTable(Table):
    base_url: HttpAddress | None = None
    """Where the Messages API is spoken: a gateway, or a front end of Bedrock or Vertex. Left out, the public API,
    or what `ANTHROPIC_BASE_URL` says."""
    max_tokens: int = Field(default=1024, gt=0)
    """Longest answer."""
    timeout: Seconds = 30.0
    """Seconds for a whole request to Claude, retries and the waits between them included."""
    stall_timeout: Seconds = 10.0
    """Seconds without a sign of life once Claude has begun to answer."""
    max_retries: int = Field(default=2, ge=0)
    """How often a request that failed for a passing reason is sent again."""
    prices: Prices | None = None
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _has_prices(self) -> Self:
        if self.budget.counts_dollars and self.prices is None:
            raise refusal("limits dollars, and without prices no cost is known", "add prices", "budget")
        return self


class ClaudeSettings(_ClaudeTable):
    """How to reach Claude."""

    model: Text
    api_key: ApiKey


class EscalationSettings(_ClaudeTable):
    """Who is asked when the local planners are not sure. Without this table nobody is."""

    order: tuple[Above, ...] = Field(default=("claude",), min_length=1, examples=[["client", "claude"]])
    """Whose model is asked, in order: "client" is the client's own, if the client offers it (sampling), and costs
    nothing here; "claude" needs a model and a key."""
    model: Text | None = Field(default=None, examples=["claude-haiku-5-5"])
    """Which Claude, by the API's name."""
    api_key: ApiKey | None = Field(default=None, examples=["${ANTHROPIC_API_KEY}"])
    """The key, best as an environment variable."""
    client_timeout: Seconds = 120.0
    """Seconds the client's own model has, the time included in which its user looks at the request."""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.order)) < len(self.order):
            raise refusal("names somebody twice", "name each once", "order")
        if "claude" in self.order:
            for name in ("model", "api_key"):
                if getattr(self, name) is None:
                    raise refusal("is required to ask Claude", "add it, or take claude out of order", name)
        return self

    @property
    def claude(self) -> ClaudeSettings | None:
        """How to reach Claude; None where it is not to be asked."""
        if "claude" not in self.order:
            return None
        return ClaudeSettings.model_validate(
            {name: getattr(self, name) for name in ClaudeSettings.model_fields}
        )


def why_not_escalated(
    settings: EscalationSettings | None, privacy: Literal["normal", "high"] = "normal"
) -> str:
    """Why a task that nobody was sure of is passed on to nobody, and what would change it; empty where it is passed on.

    Args:
        settings: the table, if there is one.
        privacy: of the task, or of all if that is stricter.
    """
    if settings is None:
        return _NOT_CONFIGURED
    return _PRIVATE if privacy == "high" else ""
