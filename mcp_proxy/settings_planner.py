"""Who plans, by what strategy, and how long it may take: the table `[planner]`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mcp_proxy.settings_fields import Seconds, Table, refusal
from mcp_proxy.strategy import Strategy

PlannerName = Literal["pocket"]


def _each_once(names: tuple[PlannerName, ...]) -> tuple[PlannerName, ...]:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise refusal(f"names {name!r} twice", "name each planner once")
    return names


class PlannerSettings(Table):
    """Who works out what to call, how sure they have to be, and how long they have."""

    order: Annotated[
        tuple[PlannerName, ...],
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_each_once),
    ] = ("pocket",)
    """The planners, in the order they are asked; "pocket" is the embedded one."""
    strategy: Strategy = Strategy.COST_OPTIMIZED
    """What is aimed at. "cost_optimized": four calls in five made without asking are right to the letter; what is less
    sure is escalated. "quality_optimized": nine in ten, so more is escalated. "privacy_first": nothing leaves the machine; the user is
    asked instead. "adaptive": as the first, and a tool whose calls keep turning out well is trusted sooner, others later."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Confidence in [0, 1] from which a valid plan is carried out; left out, the strategy decides."""
    candidates: int = Field(default=20, ge=1)
    """How many retrieved tools are chosen among."""
    timeout: Seconds = 10.0
    """Seconds a planner may take for one call."""
    deadline: Seconds = 300.0
    """Seconds a whole task may take, the time the user takes to answer left out."""
    max_steps: int = Field(default=10, ge=1)
    """Calls a task may take."""
