"""The embedded default planner: small, local, in milliseconds.

`planner` is the port. Below it: `steps` and `clauses` (which part of the task comes next), `choose` and `request`
(which tool, and is it one plain request), `fill` (which values), `claims`, `text_claims` and `evidence` (what speaks
for a value), `references` and `earlier` (values of earlier steps), `correct` (after an error), `task_reading`,
`mention` and `spans` (what the task says), `tool_reading` and `slots` (what a tool says), `vocabulary` (data). Beside
it: `confidence` (how sure a plan is), which `fit_confidence` fits.
"""

from local_llm.pocket.confidence import thresholds
from local_llm.pocket.planner import PocketPlanner
from local_llm.pocket.steps import next_request

__all__ = ["PocketPlanner", "next_request", "thresholds"]
