"""Log-likelihood ratios against data drawn from what they assume, and against what must never happen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.identity.evidence import gaussian_ratio, in_turn, needed_nats, probability, same_place, too_fast
from retail_ray.identity.settings import GallerySettings

SETTINGS = GallerySettings()


def places(xy_m: np.ndarray, variance_m2: float) -> np.ndarray:
    spread = np.tile([variance_m2, 0.0, variance_m2], (len(xy_m), 1))
    return np.column_stack([xy_m, spread])


def test_one_person_seen_twice_is_told_from_two_people_in_the_neighbourhood() -> None:
    rng = np.random.default_rng(1)
    true = rng.uniform(0, 4, (400, 2))
    seen = [places(true + rng.normal(0, 0.3, true.shape), 0.09) for _ in range(2)]
    evidence = same_place(seen[0], seen[1], SETTINGS)
    one, two = np.diag(evidence), evidence[~np.eye(400, dtype=bool)]
    assert (one > 0).mean() > 0.9
    assert two.mean() < 0 < one.mean()
    assert two.min() >= np.log(SETTINGS.outlier_share) - 1e-9  # a foot in a wrong place is not the end
    np.testing.assert_allclose(evidence, same_place(seen[1], seen[0], SETTINGS).T)


def test_an_uncertain_place_says_less() -> None:
    here, near = np.zeros((1, 2)), np.array([[0.3, 0.0]])
    sure, vague = (float(same_place(places(here, v), places(near, v), SETTINGS)[0, 0]) for v in (0.04, 4.0))
    assert sure > vague


@given(st.floats(0.1, 30), st.floats(0, 20), st.floats(0, 20))
def test_a_longer_way_in_the_same_time_never_speaks_more_for_one_person(gap_s: float, a: float, b: float) -> None:
    short, long = (in_turn(np.array(gap_s), np.array(way), np.array(0.1), 80.0, SETTINGS) for way in sorted((a, b)))
    assert long <= short


def test_who_was_away_long_enough_may_be_anywhere() -> None:
    assert float(in_turn(np.array(600.0), np.array(15.0), np.array(0.1), 80.0, SETTINGS)) >= 0


def test_too_fast_allows_for_the_error_of_both_places() -> None:
    gap, way = np.array(1.0), np.array(4.5)
    assert bool(too_fast(gap, way, np.array(0.01), SETTINGS))
    assert not bool(too_fast(gap, way, np.array(1.0), SETTINGS))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_more_alike_never_speaks_less_and_nothing_is_beyond_its_limit(values: list[float]) -> None:
    nats = gaussian_ratio(np.sort(values), (0.2, 0.1), (0.0, 0.07), 6.0)
    assert (np.diff(nats) >= 0).all()
    assert (np.abs(nats) <= 6).all()


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.4])
def test_a_link_with_just_enough_evidence_is_wrong_as_often_as_the_budget_allows(budget: float) -> None:
    assert probability(needed_nats(budget)) == pytest.approx(1 - budget)
