"""Strategies."""

from enum import StrEnum


class Strategy(StrEnum):
    """What counts when it is not clear which call is meant."""

    PRIVACY_FIRST = "privacy_first"
    COST_OPTIMIZED = "cost_optimized"
    QUALITY_OPTIMIZED = "quality_optimized"
    ADAPTIVE = "adaptive"
