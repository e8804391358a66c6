"""Who proposes a call: planners, and how sure they are. May know the registry, never the network side of MCP."""

from local_llm.plan import Call, NoPlan, Plan, Planner, Task

__all__ = ["Call", "NoPlan", "Plan", "Planner", "Task"]
