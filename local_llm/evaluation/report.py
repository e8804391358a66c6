"""Figures for people and for programs: rows of a table, and plain JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from local_llm.evaluation.metrics import Reliability, Summary
from local_llm.evaluation.verdicts import Judged


def percent(share: float | None) -> str:
    """A share as a percentage, "–" where there is none."""
    return "–" if share is None else f"{share:.1%}"


def _plain(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _of(reliability: Callable[[Reliability], str]) -> Callable[[Summary], str]:
    return lambda summary: reliability(summary.reliability) if summary.reliability else "–"


FIGURES: Mapping[str, Callable[[Summary], str]] = {
    "records": lambda s: f"{s.records:,}",
    "without an answer": lambda s: f"{s.unanswered:,}",
    "right tool": lambda s: percent(s.tool),
    "exact call": lambda s: percent(s.exact),
    "arguments right": lambda s: percent(s.arguments),
    "exact, all kinds": lambda s: percent(s.exact_of_all),
    "abstention precision": lambda s: percent(s.abstention_precision),
    "abstention recall": lambda s: percent(s.abstention_recall),
    "abstention F1": lambda s: percent(s.abstention_f1),
    "missing: exact": lambda s: percent(s.missing_exact),
    "missing: invented": lambda s: percent(s.missing_invented),
    "ECE": _of(lambda r: f"{r.ece:.3f}"),
    "coverage at 95% precision": _of(lambda r: percent(r.coverage_95)),
    "coverage at 90% precision": _of(lambda r: percent(r.coverage_90)),
    "latency p50 / p95": lambda s: f"{_plain(s.p50_ms, '.1f')} / {_plain(s.p95_ms, '.1f', ' ms')}",
    "cost": lambda s: "–" if s.cost is None else f"${s.cost:.4f}",
}
"""The figures of a summary, by what they are called."""


def as_json(summary: Summary) -> dict[str, Any]:
    """All figures of a summary."""
    return asdict(summary)


def answers_as_json(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Every answer with its verdict. Confidences may be calibrated by these."""
    return [
        {
            "id": one.record.id,
            "source": one.record.source,
            "kind": one.record.kind,
            "prediction": one.prediction and asdict(one.prediction),
            "verdict": asdict(one.verdict),
        }
        for one in judged
    ]
