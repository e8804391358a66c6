"""The embedded default planner: small, local, in milliseconds."""
