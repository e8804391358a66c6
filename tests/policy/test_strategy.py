"""How sure a plan has to be: by strategy, by calibration, and by how a tool's calls turned out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_proxy.gate import Bar
from mcp_proxy.strategy import AIMS, Bars, Strategy, Tally, adapted, least_confidence
from tests.policy.proposers import plan, tool_of

MEASURED = {0.70: 0.41, 0.80: 0.63, 0.90: 0.82, 0.98: 1.01}
"""As a calibration might have found: no confidence is right in 98 of 100 cases."""

TALLIES = st.builds(Tally, st.integers(0, 10_000), st.integers(0, 10_000))


def bars(strategy: str, **others: object) -> Bars:
    return Bars(AIMS[Strategy(strategy)], {"good": MEASURED}, **others)  # pyright: ignore[reportArgumentType]  of several fields


@pytest.mark.parametrize(
    ("strategy", "bar"),
    [
        ("privacy_first", Bar(0.63, 0.3)),
        ("cost_optimized", Bar(0.63, 0.3)),
        ("quality_optimized", Bar(0.82, 0.3)),
        ("adaptive", Bar(0.63, 0.3)),
    ],
)
def test_each_strategy_acts_from_where_its_precision_was_measured(strategy: str, bar: Bar) -> None:
    assert bars(strategy).bar(plan()) == bar


def test_a_planner_that_is_not_calibrated_is_acted_on_from_the_gates_own_bar() -> None:
    assert bars("quality_optimized").bar(plan(planner="other")) == Bar(0.6, 0.3)


def test_a_threshold_of_ones_own_stands_above_strategies_and_records() -> None:
    record = {("notes__add_note", "good"): Tally(0, 500)}
    assert bars("adaptive", fixed=0.2, record=record).bar(plan()) == Bar(0.2, 0.2)


@pytest.mark.parametrize(
    ("precision", "least"),
    [(0.5, 0.41), (0.70, 0.41), (0.75, 0.63), (0.85, 0.82), (0.98, math.inf), (1.0, math.inf)],
)
def test_a_precision_between_two_that_were_measured_takes_the_higher(precision: float, least: float) -> None:
    assert least_confidence(MEASURED, precision) == least


def test_a_tools_record_counts_for_that_tool_and_planner_and_for_adaptive_alone() -> None:
    record = {("notes__add_note", "good"): Tally(200, 0), ("notes__add_note", "other"): Tally(0, 200)}
    adaptive = bars("adaptive", record=record)
    assert adaptive.bar(plan()).act == 0.5
    assert adaptive.bar(plan(planner="other")).act > 0.6
    assert adaptive.bar(plan(tool_of("read_note"))).act == 0.63
    assert bars("cost_optimized", record=record).bar(plan()).act == 0.63


def test_the_formula_is_bayes() -> None:
    # 20 calls at 90 % before, 12 right of 20 now: 30 of 40, whose odds of 3 are a third of those of 90 %.
    assert adapted(0.6, 0.9, Tally(12, 8)) == pytest.approx(4.5 / 5.5)
    # Every one of 30 right: 48 of 50, whose odds of 24 are 8/3 of those of 90 %. Below one half it would be.
    assert adapted(0.6, 0.9, Tally(30, 0)) == 0.5
    assert adapted(0.8, 0.9, Tally(30, 0)) == pytest.approx(0.6)


@given(st.integers(0, 9), st.data(), st.floats(0, 1))
def test_few_calls_change_nothing(calls: int, data: st.DataObject, base: float) -> None:
    good = data.draw(st.integers(0, calls))
    assert adapted(base, 0.9, Tally(good, calls - good)) == base


@given(st.floats(0, 1) | st.just(math.inf), TALLIES, st.sampled_from([0.8, 0.9, 0.95, 0.98]))
def test_whatever_the_record_the_bar_stays_within_bounds(base: float, tally: Tally, precision: float) -> None:
    bar = adapted(base, precision, tally)
    assert min(base, 0.5) <= bar <= max(base, 1.0)
    if 0 < base < 1:
        odds, before = bar / (1 - bar) if bar < 1 else math.inf, base / (1 - base)
        assert before / 4.001 <= odds <= before * 4.001 or bar == 1.0


@given(st.floats(0.01, 0.99), st.integers(10, 1000), st.data())
def test_one_more_right_never_raises_the_bar_and_one_more_wrong_never_lowers_it(
    base: float, calls: int, data: st.DataObject
) -> None:
    good = data.draw(st.integers(0, calls))
    bar = adapted(base, 0.9, Tally(good, calls - good))
    assert adapted(base, 0.9, Tally(good + 1, calls - good)) <= bar + 1e-12
    assert adapted(base, 0.9, Tally(good, calls - good + 1)) >= bar - 1e-12
