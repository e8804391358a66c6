"""The embedded default planner: small, local, in milliseconds.

Reads from here down: `planner` (the port), `choose` (which tool), `fill` and `claims` (which arguments),
`task_reading` and `tool_reading` (what the two sides say), `spans` and `vocabulary` (values and words).
"""

from local_llm.pocket.planner import PocketPlanner

__all__ = ["PocketPlanner"]
