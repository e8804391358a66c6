"""Who proposes a call: planners, and how sure they are. May know the registry, never the network side of MCP."""

from local_llm.plan import Call, Finished, NoPlan, Plan, Planner, Step, Task

__all__ = ["Call", "Finished", "NoPlan", "Plan", "Planner", "Step", "Task"]
