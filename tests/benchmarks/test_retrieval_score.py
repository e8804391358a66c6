"""Scores of rankings."""

import pytest

from benchmarks.retrieval_score import mean, score


def test_a_perfect_ranking_scores_one_but_for_what_one_place_cannot_hold() -> None:
    assert score(["a", "b", "c"], {"a"}) == score(["a"], {"a"})
    perfect = score(["a", "b", "c"], {"a", "b"})
    assert (perfect.recall_1, perfect.recall_3, perfect.mrr, perfect.ndcg_10) == (0.5, 1, 1, 1)


def test_what_is_not_found_scores_nothing() -> None:
    missed = score(["x", "y"], {"a"})
    assert (missed.recall_10, missed.mrr, missed.ndcg_10) == (0, 0, 0)


def test_a_wanted_tool_further_down_counts_less() -> None:
    third = score(["x", "y", "a"], {"a"})
    assert (third.recall_1, third.recall_3, third.mrr, third.ndcg_10) == (0, 1, pytest.approx(1 / 3), 0.5)
    eleventh = score([*"bcdefghijk", "a"], {"a"})
    assert (eleventh.recall_10, eleventh.mrr, eleventh.ndcg_10) == (0, pytest.approx(1 / 11), 0)


def test_a_name_that_several_tools_share_counts_once() -> None:
    assert score(["x", "x", "x", "a"], {"a"}).mrr == 0.5


def test_means_are_taken_of_each_score() -> None:
    both = mean([score(["a"], {"a"}), score(["x"], {"a"})])
    assert (both.recall_1, both.mrr, both.ndcg_10) == (0.5, 0.5, 0.5)
