"""Clocks of tills: found where sales and services belong together, refused where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.till_clock import ANY_LANE, ClockSettings, NoOffset, Offset, Paid, estimate_offset, join
from retail_ray.core.time import US_PER_S

SETTINGS = ClockSettings()
PAID_BEFORE_S = (2.0, 10.0)


def services(lanes: int, each: int, seed: int) -> Paid:
    """Ends of services: one after the other in every lane, 30 s and more apart, through about ten hours."""
    rng = np.random.default_rng(seed)
    gaps_s = 30 + rng.exponential(36_000 / each, (lanes, each))
    time_us = np.round(np.cumsum(gaps_s, axis=1) * US_PER_S).astype(np.int64)
    return Paid(time_us.ravel(), np.repeat(np.arange(lanes), each))


def sales(of: Paid, offset_s: float | list[float], kept: float, seed: int) -> tuple[Paid, np.ndarray]:
    """Sales of a share of the services, paid some seconds before they end at tills that are off; and whose they are."""
    rng = np.random.default_rng(seed)
    whose = np.flatnonzero(rng.random(len(of)) < kept)
    offsets_s = np.broadcast_to(np.asarray(offset_s, np.float64), (int(of.lane.max()) + 1,))[of.lane[whose]]
    shift_s = offsets_s - rng.uniform(*PAID_BEFORE_S, len(whose))
    order = rng.permutation(len(whose))
    paid = Paid(of.time_us[whose] + np.round(shift_s * US_PER_S).astype(np.int64), of.lane[whose])
    return Paid(paid.time_us[order], paid.lane[order]), whose[order]


@pytest.mark.parametrize("offset_s", [-420.0, -61.0, 0.0, 7.5, 133.0, 420.0])
@pytest.mark.parametrize("told", [True, False])
def test_the_offset_is_found_and_each_sale_finds_its_service(offset_s: float, told: bool) -> None:
    """A fifth of the sales is missing; with and without the lanes. 6 s: the middle of when people pay."""
    served = services(4, 60, seed=1)
    paid, whose = sales(served, offset_s, kept=0.8, seed=2)
    if not told:
        paid = Paid(paid.time_us, np.full(len(paid), ANY_LANE))
    found = estimate_offset(paid, served, SETTINGS)
    assert isinstance(found, Offset)
    assert found.offset_s == pytest.approx(offset_s - 6, abs=1.5)
    assert 0 < found.uncertainty_s < 1
    joined = join(paid, served)
    assert not joined.refused
    right = joined.visit == whose
    assert right.mean() > (0.99 if told else 0.9)


def test_the_uncertainty_is_as_large_as_the_errors_are() -> None:
    errors = []
    for seed in range(40):
        served = services(2, 50, seed)
        found = estimate_offset(sales(served, 100.0, 0.8, seed + 1000)[0], served, SETTINGS)
        assert isinstance(found, Offset)
        errors.append((found.offset_s - 94) / found.uncertainty_s)
    assert 0.4 < np.std(errors) < 2.0


@pytest.mark.parametrize("seed", range(12))
def test_sales_at_random_have_no_offset(seed: int) -> None:
    """The control: as many, in the same hours and lanes."""
    served, rng = services(4, 60, seed), np.random.default_rng(seed + 50)
    paid = Paid(rng.integers(0, int(served.time_us.max()), len(served)), served.lane)
    found = estimate_offset(paid, served, SETTINGS)
    assert isinstance(found, NoOffset)
    assert "stands out" in found.why
    joined = join(paid, served)
    assert (joined.visit == -1).all()
    assert np.isnan(joined.offset_s).all()
    assert sorted(joined.refused) == [0, 1, 2, 3]


def test_another_shops_sales_have_no_offset() -> None:
    """As regular as services are, but of other lanes."""
    found = estimate_offset(sales(services(4, 60, 7), 0.0, 1.0, 8)[0], services(4, 60, 9), SETTINGS)
    assert isinstance(found, NoOffset)


@pytest.mark.parametrize("offset_s", [-3600.0, 3600.0, 700.0])
def test_a_clock_that_is_off_by_more_than_allowed_is_refused(offset_s: float) -> None:
    """An hour: the timezone is wrong."""
    served = services(4, 60, seed=3)
    paid, _ = sales(served, offset_s, 0.9, seed=4)
    found = estimate_offset(paid, served, SETTINGS)
    assert isinstance(found, NoOffset)
    assert "check the timezone" in found.why
    assert isinstance(estimate_offset(paid, served, ClockSettings(max_offset_s=4000)), Offset)


def test_two_offsets_that_fit_as_well_are_refused() -> None:
    """Half of the sales of one till are from before its clock was set."""
    served = services(1, 120, seed=5)
    early, _ = sales(Paid(served.time_us[:60], served.lane[:60]), 0.0, 1.0, seed=6)
    late, _ = sales(Paid(served.time_us[60:], served.lane[60:]), 240.0, 1.0, seed=6)
    both = Paid(np.concatenate([early.time_us, late.time_us]), np.concatenate([early.lane, late.lane]))
    found = estimate_offset(both, served, SETTINGS)
    assert isinstance(found, NoOffset)
    assert "two offsets fit" in found.why


def test_few_sales_are_refused_and_a_lane_with_few_takes_the_offset_of_all() -> None:
    served = services(3, 60, seed=10)
    paid, whose = sales(served, 50.0, 0.9, seed=11)
    few = paid.of(np.arange(len(paid)) < 4)
    assert isinstance(estimate_offset(few, served, SETTINGS), NoOffset)
    kept = (paid.lane != 2) | (np.cumsum(paid.lane == 2) <= 4)
    joined = join(paid.of(kept), served)
    assert not joined.refused
    assert (joined.visit == whose[kept]).mean() > 0.98


def test_each_till_has_its_own_clock() -> None:
    """The third one is refused: its sales are of another hour. It takes nobody's services with the others' offset."""
    served = services(3, 60, seed=12)
    paid, whose = sales(served, [-200.0, 90.0, 3600.0], 0.9, seed=13)
    joined = join(paid, served)
    for lane, offset_s in ((0, -206.0), (1, 84.0)):
        mine = paid.lane == lane
        assert joined.offset_s[mine] == pytest.approx(offset_s, abs=1.5)
        assert (joined.visit[mine] == whose[mine]).mean() > 0.98
    assert list(joined.refused) == [2]
    assert (joined.visit[paid.lane == 2] == -1).all()


def test_nothing_to_join() -> None:
    served, nobody = services(1, 30, 1), Paid(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(join(nobody, served).visit) == 0
    joined = join(Paid(np.array([5]), np.array([0])), nobody)
    assert joined.visit.tolist() == [-1]
    assert "nobody served" in joined.refused[0]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.floats(-400, 400),
    st.floats(0.5, 1.0),
)
def test_pairs_are_one_to_one_near_and_of_one_lane_in_any_order(
    seed: int, lanes: int, offset_s: float, kept: float
) -> None:
    served = services(lanes, 40, seed)
    paid, _ = sales(served, offset_s, kept, seed)
    joined = join(paid, served)
    pairs = np.flatnonzero(joined.visit >= 0)
    assert len(set(joined.visit[pairs].tolist())) == len(pairs)
    assert (paid.lane[pairs] == served.lane[joined.visit[pairs]]).all()
    apart_s = (paid.time_us[pairs] - served.time_us[joined.visit[pairs]]) / US_PER_S - joined.offset_s[pairs]
    assert (np.abs(apart_s) <= SETTINGS.tolerance_s + 1e-6).all()
    order = np.random.default_rng(seed).permutation(len(paid))
    again = join(Paid(paid.time_us[order], paid.lane[order]), served)
    assert again.offset_s == pytest.approx(joined.offset_s[order], nan_ok=True)
    assert sorted(again.visit.tolist()) == sorted(joined.visit.tolist())
