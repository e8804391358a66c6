"""The two judgements that a trained model may make instead of rules. Interfaces only; the rules are `claims` and `choose`.

Both see everything that one task is planned from at once, so that a model can answer with one pass over its batch.
What surrounds them stays: how text and tools are read, that no two values share text, that nothing is made up,
which clause comes next, and how sure a plan is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from local_llm.pocket.evidence import Claim
from local_llm.pocket.mention import Stretch
from local_llm.pocket.task_reading import TaskReading
from local_llm.pocket.tool_reading import ToolReading

if TYPE_CHECKING:  # They are made of claims, and import this module's own neighbours.
    from local_llm.pocket.choose import Fit
    from local_llm.pocket.fill import Filling


class FindClaims(Protocol):
    """A model of spans and choices: which stretch of the text, or which option, each parameter may take."""

    def __call__(self, task: TaskReading, tools: Sequence[ToolReading], /) -> Sequence[Sequence[Claim]]:
        """The claims of each of `tools`, in their order.

        What is scored is one pair of parameter and value: `Claim.weight` in [0, 1] says how likely it is that the
        value is what the task wants there. The scale that `evidence` describes decides what becomes of it: below
        GUESS it is dropped, below SURE it fills required parameters only, and it makes the plan less sure.
        A parameter may have several claims, also on overlapping text; the best set without overlap is taken.
        Values are typed as the schema wants them. An absent parameter has no claim.
        """
        ...


class Judge(Protocol):
    """A ranker: how well each tool, with the parameters it was given, suits the task; and whether any does."""

    def __call__(
        self, task: TaskReading, fillings: Sequence["Filling"], taken: Sequence[Stretch], /
    ) -> Sequence["Fit"]:
        """The fit of each of `fillings`, in their order; `taken` are stretches of the text that name the server.

        What is scored is a whole call: `Fit.score` in [0, 1] orders the tools of one task, and the planner's own
        thresholds tell "none of them" from the best. The other fields say why, for people and for the calibration.
        """
        ...
