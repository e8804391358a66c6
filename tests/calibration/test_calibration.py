"""Calibration: probabilities that never fall as scores rise, and thresholds that keep what they promise."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_llm.calibration import (
    UNREACHED,
    BadCalibrationError,
    Block,
    Calibration,
    Knot,
    Sample,
    fit,
    isotonic,
    load,
    save,
)

SAMPLES = st.lists(
    st.builds(
        Sample,
        score=st.floats(-30, 30),
        right=st.booleans(),
        weight=st.floats(0.01, 10),
    ),
    min_size=1,
    max_size=300,
)
ANY_SCORE = st.floats(allow_nan=True, allow_infinity=True)


def fitted(samples: list[Sample]) -> Calibration:
    return fit("some", "1", samples, sum(sample.weight for sample in samples))


@settings(deadline=None)
@given(samples=SAMPLES, scores=st.lists(ANY_SCORE, min_size=2, max_size=20))
def test_a_higher_score_is_never_less_probable(samples: list[Sample], scores: list[float]) -> None:
    calibration = fitted(samples)
    probabilities = [
        calibration.probability(score) for score in sorted(s for s in scores if not math.isnan(s))
    ]
    assert probabilities == sorted(probabilities)


@settings(deadline=None)
@given(samples=SAMPLES, score=ANY_SCORE)
def test_nothing_is_impossible_and_nothing_certain(samples: list[Sample], score: float) -> None:
    assert 0 < fitted(samples).probability(score) < 1


@settings(deadline=None)
@given(both=SAMPLES.flatmap(lambda samples: st.tuples(st.just(samples), st.permutations(samples))))
def test_the_same_samples_make_the_same_calibration_whatever_their_order(
    both: tuple[list[Sample], list[Sample]],
) -> None:
    one, other = ([Sample(sample.score, sample.right) for sample in samples] for samples in both)
    assert fitted(one) == fitted(other)


@settings(deadline=None)
@given(samples=SAMPLES)
def test_a_calibration_comes_back_from_its_file_as_it_was(
    samples: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("kept") / "calibration.json"
    calibration = fitted(samples)
    save(calibration, file)
    assert load(file) == calibration


@settings(deadline=None)
@given(shares=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=40))
def test_pooled_shares_rise_and_no_weight_is_lost(shares: list[tuple[int, int]]) -> None:
    blocks = [Block(place, place, min(right, weight), weight) for place, (right, weight) in enumerate(shares)]
    pooled = isotonic(blocks)
    rising = [block.share for block in pooled]
    assert rising == sorted(set(rising))
    assert sum(block.weight for block in pooled) == sum(block.weight for block in blocks)
    assert sum(block.right for block in pooled) == sum(block.right for block in blocks)


def test_scores_that_tell_are_told_apart() -> None:
    samples = [Sample(place / 1000, right=place % 10 < place // 100) for place in range(1000)]
    calibration = fitted(samples)
    assert calibration.probability(0.15) == pytest.approx(0.1, abs=0.08)
    assert calibration.probability(0.55) == pytest.approx(0.5, abs=0.08)
    assert calibration.probability(0.95) == pytest.approx(0.9, abs=0.08)


def test_a_threshold_keeps_its_precision_and_one_that_nothing_reaches_is_infinite() -> None:
    samples = [Sample(float(place % 10), right=place % 10 >= 7 and place % 40 != 9) for place in range(2000)]
    thresholds = fitted(samples).thresholds
    assert thresholds[0.98] == UNREACHED == math.inf
    for precision in (0.8, 0.9):
        calibration = fitted(samples)
        acted = [s for s in samples if round(calibration.probability(s.score), 3) >= thresholds[precision]]
        assert len(acted) == 600
        assert sum(s.right for s in acted) / len(acted) >= precision


def test_a_handful_of_samples_makes_no_threshold() -> None:
    assert set(fitted([Sample(1.0, right=True)] * 99).thresholds.values()) == {UNREACHED}


@pytest.mark.parametrize("knots", [(), (Knot(1, 0.5), Knot(0, 0.6)), (Knot(0, 0.5), Knot(1, 0.4))])
def test_knots_that_are_no_calibration_are_refused(knots: tuple[Knot, ...]) -> None:
    with pytest.raises(BadCalibrationError, match="fit the calibration again"):
        Calibration("some", "1", 1, knots)


def test_nothing_cannot_be_calibrated_with() -> None:
    with pytest.raises(BadCalibrationError, match="no sample"):
        fit("some", "1", [], 0.0)


def test_a_damaged_file_is_an_error_of_value(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"planner": "some"}', encoding="utf-8")
    with pytest.raises(ValueError, match="version"):
        load(tmp_path / "c.json")
