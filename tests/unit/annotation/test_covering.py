"""Choosing scans that stand for many."""

import itertools

import numpy as np
import pytest

from equireg.annotation.covering import choose, distances_between
from equireg.annotation.ranking import how_sure, tempered


def clusters(*sizes: int) -> np.ndarray:
    """Return points in tight clusters that lie far from each other."""
    rng = np.random.default_rng(0)
    centres = 10.0 * np.eye(len(sizes), 4)
    return np.concatenate([centre + rng.normal(0, 0.1, (size, 4)) for centre, size in zip(centres, sizes, strict=True)])


def test_each_cluster_gets_one_and_the_largest_is_first():
    points = clusters(5, 12, 8)
    chosen = choose(points, range(25), 3)
    assert [int(np.digitize(choice.index, [5, 17])) for choice in chosen] == [1, 2, 0]
    assert sorted(choice.stands_for for choice in chosen) == [5, 8, 12]
    assert chosen[0].gain > chosen[1].gain > chosen[2].gain > 0


def test_one_choice_is_the_medoid():
    points = np.random.default_rng(1).normal(size=(30, 3))
    [only] = choose(points, range(30), 1)
    assert only.index == distances_between(points).sum(axis=1).argmin()
    assert only.stands_for == 30


def test_what_is_annotated_is_not_chosen_again():
    points = clusters(6, 6)
    [only] = choose(points, range(1, 12), 1, known=[0])
    assert only.index >= 6


def test_weights_draw_the_choice():
    weights = np.ones(12)
    weights[6:] = 5
    assert choose(clusters(6, 6), range(12), 1, weights=weights)[0].index >= 6
    weights[6:] = 0.1
    assert choose(clusters(6, 6), range(12), 1, weights=weights)[0].index < 6


def test_a_patient_counts_once():
    points = clusters(6, 4)
    patients = ["one"] * 6 + ["a", "b", "c", "d"]
    chosen = [choice.index for choice in choose(points, range(10), 5, patients=patients)]
    assert chosen[0] >= 6
    assert sum(index < 6 for index in chosen) == 1
    assert len(choose(points, range(10), 7, patients=patients)) == 7


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_choice_keeps_its_promise(seed):
    points = np.random.default_rng(seed).normal(size=(9, 2))
    distances = distances_between(points)

    def gain(indices):
        return float((distances.max() - distances[:, list(indices)].min(axis=1)).sum())

    best = max(gain(indices) for indices in itertools.combinations(range(9), 3))
    found = gain([choice.index for choice in choose(points, range(9), 3)])
    assert found >= (1 - 1 / np.e) * best


def test_doubt_counts_the_more_the_more_patients_a_model_knows():
    doubts = {"a": 0.1, "b": 0.3}
    assert tempered(doubts, 0) == {"a": 1.0, "b": 1.0}
    few, many = tempered(doubts, 5), tempered(doubts, 500)
    assert few["b"] == pytest.approx(1.25)
    assert 1.25 < many["b"] < 1.5
    assert few["a"] + few["b"] == pytest.approx(2)
    assert tempered({"a": 0.0, "b": 0.0}, 5) == {"a": 1.0, "b": 1.0}


def test_scans_that_a_model_doubts_alike_do_not_each_count_as_the_most_doubted() -> None:
    doubts = [1.0, 0.2, 1.0, 0.5, 1.0]
    assert how_sure(1.0, doubts) == "the least sure of it and 2 others, of 5"
    assert how_sure(0.2, doubts) == "less sure of 4 of 5"
    assert how_sure(0.5, doubts[1:4:2]) == "the least sure of it, of 2"
