"""Sampling is a pure function of presentation time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import ConfigError
from retail_ray.video.sampling import exact_rate, sampled, slot_of

rates = st.sampled_from([0.1, 0.5, 1, 2, 3, 5, 7, 7.5, 10, 12.5, 14.985, 24, 25, 29.97, 30, 59.94])
bases = st.sampled_from([Fraction(1, 90000), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 12800)])


@given(st.lists(st.integers(0, 400), min_size=1, max_size=200), bases, rates)
def test_takes_the_first_frame_of_every_slot_and_no_other(gaps: list[int], base: Fraction, rate: float) -> None:
    ticks = np.cumsum([0, *gaps[1:]]).astype(np.int64)
    fps = exact_rate(rate)
    taken = sampled(ticks, base, fps, None)
    by_slot: dict[int, int] = {}
    for i, tick in enumerate(ticks.tolist()):
        by_slot.setdefault(slot_of(tick, base, fps), i)
    assert np.flatnonzero(taken).tolist() == sorted(by_slot.values())


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1000, 90000, 12800, 1001]), st.booleans())
def test_a_divisor_of_the_native_rate_takes_every_kth_frame(
    every: int, rate: int, denominator: int, truncates: bool
) -> None:
    """Also where the container has rounded or cut every time to its ticks."""
    native = every * rate
    if native > 120:
        return
    exact = [Fraction(i * denominator, native) for i in range(300)]
    ticks = np.array([int(t) if truncates else round(t) for t in exact], np.int64)
    if truncates and denominator < 1000:
        return
    taken = sampled(ticks, Fraction(1, denominator), Fraction(rate), Fraction(native))
    assert np.flatnonzero(taken).tolist() == list(range(0, 300, every))


@given(st.lists(st.integers(1, 400), min_size=2, max_size=100), bases, rates, st.data())
def test_the_past_does_not_matter(gaps: list[int], base: Fraction, rate: float, data: st.DataObject) -> None:
    """Whatever frames lie before a slot, the samples of later slots stay: a resumed run picks the same."""
    ticks = np.cumsum(gaps).astype(np.int64)
    fps = exact_rate(rate)
    whole = sampled(ticks, base, fps, None)
    cut = data.draw(st.sampled_from(np.flatnonzero(whole).tolist()))
    assert (sampled(ticks[cut:], base, fps, None) == whole[cut:]).all()


def test_ntsc_asked_for_by_its_usual_name_takes_every_frame() -> None:
    ticks = np.arange(100_000, dtype=np.int64)
    base = Fraction(1001, 30000)
    assert sampled(ticks, base, exact_rate(29.97), 1 / base).all()
    assert not sampled(ticks, base, exact_rate(29), 1 / base).all()


def test_slots_stay_exact_after_a_year_at_90_khz() -> None:
    second = 90_000 * 86_400 * 366
    ticks = second + np.arange(0, 90_000, 3_000, dtype=np.int64)
    taken = sampled(ticks, Fraction(1, 90_000), exact_rate(7.5), None)
    assert np.flatnonzero(taken).tolist() == list(range(0, 30, 4))


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_refuses_impossible_rates(rate: float) -> None:
    with pytest.raises(ConfigError, match=str(rate)):
        exact_rate(rate)
