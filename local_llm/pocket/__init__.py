"""The embedded default planner: small, local, in milliseconds.

`planner` is the port. Below it: `choose` and `request` (which tool, and is it one plain request), `fill`
(which values), `claims`, `text_claims` and `evidence` (what speaks for a value), `task_reading`, `mention`
and `spans` (what the task says), `tool_reading` and `slots` (what a tool says), `vocabulary` (data).
"""

from local_llm.pocket.planner import PocketPlanner

__all__ = ["PocketPlanner"]
