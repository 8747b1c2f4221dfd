"""Intervals against published values, and what must hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.evaluation.measures import (
    Measure,
    as_json,
    bootstrap,
    estimated,
    flat,
    median_and_p90,
    not_measured,
    share,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(n=st.integers(1, 10_000), data=st.data())
def test_wilson_holds_the_share_and_stays_a_share(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    again_low, again_high = wilson(successes * 10, n * 10)
    assert again_high - again_low <= high - low


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_no_share_is_refused(successes: int, n: int) -> None:
    with pytest.raises(DataError, match="is no share"):
        wilson(successes, n)


def test_bootstrap_of_a_mean_has_the_width_of_theory_and_repeats() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    low, high = bootstrap(values, np.random.default_rng(2), rounds=4000)
    expected = 2 * 1.96 * values.std() / 20
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.05)
    assert high - low == pytest.approx(expected, rel=0.1)
    assert (low, high) == bootstrap(values, np.random.default_rng(2), rounds=4000)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_bootstrap_stays_between_the_extremes(values: list[float]) -> None:
    low, high = bootstrap(values, np.random.default_rng(0), rounds=50)
    assert min(values) - 1e-6 <= low <= high <= max(values) + 1e-6


def test_bootstrap_of_nothing_is_refused_and_of_one_value_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="no values"):
        bootstrap([], rng)
    one = estimated([3.0], "things", rng)
    assert (one.value, one.n, one.low, one.high) == (3.0, 1, None, None)
    assert estimated([], "things", rng).why == "there are no things"


def test_median_and_p90() -> None:
    section = median_and_p90(np.arange(11.0), "values", np.random.default_rng(0))
    found = flat(section)
    assert (found["median"].value, found["p90"].value, found["p90"].n) == (5, 9, 11)


def test_what_was_not_measured_says_why_instead_of_zero() -> None:
    section = {"a": {"b": share(1, 4, "cases")}, "c": not_measured("there was no camera")}
    content = as_json(section)
    assert content["c"] == {"value": None, "not_measured": "there was no camera"}
    assert content["a"]["b"]["value"] == 0.25
    assert set(content["a"]["b"]) == {"value", "n", "of", "low", "high"}
    assert set(flat(section)) == {"a.b", "c"}
    assert share(0, 0, "cases").value is None
    assert isinstance(flat(section)["a.b"], Measure)
