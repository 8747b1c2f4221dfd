"""Each signal can only raise the probability of being staff, its parts add up, areas are where they are drawn."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.staff import (
    PARTS,
    StaffAreas,
    StaffSignals,
    StaffWeights,
    UsualVisit,
    assess_staff,
    presence,
    seconds_in,
    staff_signals,
    usual_visit_s,
)
from retail_ray.core.errors import DataError
from retail_ray.core.floor_paths import STEP_US, DoorCrossings, FloorPaths, floor_paths

SIGNALS = ("staff_zone_s", "behind_checkout_s", "presence_s", "crossings", "uniform_log_odds")
ROOM = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
TILL = ((8.0, 0.0), (9.0, 0.0), (9.0, 1.0), (8.0, 1.0))


def signals(**values: float) -> StaffSignals:
    known = dict.fromkeys(SIGNALS, 0.0) | {"presence_s": 200.0} | values
    arrays = {name: np.array([value], np.float64) for name, value in known.items() if name != "crossings"}
    return StaffSignals(**arrays, usual_s=200.0, crossings=np.array([int(known["crossings"])], np.int64))


def standing(*places: tuple[int, float, float, float, float]) -> FloorPaths:
    """(identity, from, to in seconds, x, y)."""
    rows = [(i, t, x, y) for i, since, until, x, y in places for t in np.arange(since, until, 0.5)]
    table = np.array(rows, np.float64).reshape(-1, 4)
    return floor_paths(table[:, 0].astype(np.int64), np.rint(table[:, 1] * 1e6).astype(np.int64), table[:, 2:])


def nobody_crossed() -> DoorCrossings:
    none = np.zeros(0, np.int64)
    return DoorCrossings(none, none, none, np.zeros(0, np.bool_))


def crossed(*events: tuple[int, float, bool]) -> DoorCrossings:
    identity, time_s, inwards = (np.array(column) for column in zip(*events, strict=True))
    zero = np.zeros(len(events), np.int64)
    return DoorCrossings(
        identity.astype(np.int64), zero, np.rint(time_s * 1e6).astype(np.int64), inwards.astype(np.bool_)
    )


amounts = st.floats(0, 50_000, allow_nan=False)
bases = st.fixed_dictionaries(
    {name: st.integers(0, 40) if name == "crossings" else st.floats(-1, 4) if "uniform" in name else amounts
     for name in SIGNALS}
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(bases, st.sampled_from(SIGNALS), st.integers(0, 30_000))
def test_more_of_any_signal_never_speaks_against_staff(base: dict[str, float], name: str, more: int) -> None:
    before, after = signals(**base), signals(**(base | {name: base[name] + more}))
    assert assess_staff(after).probability[0] >= assess_staff(before).probability[0]


@settings(max_examples=50, deadline=None)
@given(bases)
def test_the_parts_and_the_bias_make_the_probability(base: dict[str, float]) -> None:
    found = assess_staff(signals(**base))
    log_odds = found.bias + sum(found.reasons(0).values())
    assert found.probability[0] == pytest.approx(1 / (1 + np.exp(-log_odds)))
    assert set(found.reasons(0)) == set(PARTS)
    assert list(found.reasons(0).values()) == sorted(found.reasons(0).values(), reverse=True)


def test_a_shopper_is_none_of_the_staff_and_a_cashier_is() -> None:
    shopper = assess_staff(signals(presence_s=300.0, crossings=2))
    cashier = assess_staff(signals(presence_s=3600.0, behind_checkout_s=3500.0))
    assert shopper.probability[0] < 0.1
    assert cashier.probability[0] > 0.95
    assert next(iter(cashier.reasons(0))) == "behind_checkout"


def test_a_signal_with_negative_weight_is_refused() -> None:
    with pytest.raises(DataError, match=r"StaffWeights\.presence"):
        StaffWeights(presence=-0.1)


def test_seconds_count_where_people_stand() -> None:
    paths = standing((0, 0, 30, 1.0, 1.0), (0, 30, 60, 5.0, 5.0), (1, 0, 20, 8.5, 0.5), (2, 0, 10, 20.0, 20.0))
    found = staff_signals(paths, nobody_crossed(), 4, StaffAreas((ROOM,), (TILL,)))
    assert found.staff_zone_s.tolist() == [30, 0, 0, 0]
    assert found.behind_checkout_s.tolist() == [0, 20, 0, 0]
    assert found.presence_s.tolist() == [60, 20, 10, 0]


def test_overlapping_zones_count_a_second_once() -> None:
    assert seconds_in(standing((0, 0, 10, 1.0, 1.0)), 1, (ROOM, ROOM)).tolist() == [10]


def test_short_times_unseen_are_presence_and_long_ones_are_not() -> None:
    paths = standing((0, 0, 10, 1.0, 1.0), (0, 40, 50, 1.0, 1.0), (0, 500, 510, 1.0, 1.0), (1, 0, 5, 0.0, 0.0))
    assert presence(paths, 2, bridged_s=60.0).tolist() == [60, 5]


def test_crossings_count_both_ways_and_only_entered_visits_are_usual() -> None:
    paths = standing((0, 0, 400, 5.0, 5.0), (1, 0, 3600, 5.0, 5.0), (2, 0, 30, 5.0, 5.0))
    events = crossed((0, 1.0, True), (0, 399.0, False), (2, 1.0, True))
    found = staff_signals(paths, events, 3, StaffAreas(), usual=UsualVisit(prior_s=100.0, prior_visits=1.0))
    assert found.crossings.tolist() == [2, 0, 1]
    # Identity 1 never came in while it was watched, and identity 2's visit is a bounce.
    assert found.usual_s == (400 + 100) / 2


def test_without_visits_the_prior_is_the_usual_visit() -> None:
    assert usual_visit_s(np.zeros(0), UsualVisit()) == UsualVisit().prior_s


def test_likeness_to_the_uniform_alone_can_decide() -> None:
    bare, dressed = (assess_staff(signals(uniform_log_odds=value)).probability[0] for value in (0.0, 6.0))
    assert bare < 0.5 < dressed


def test_an_empty_day_gives_empty_answers() -> None:
    found = assess_staff(staff_signals(standing(), nobody_crossed(), 0, StaffAreas((ROOM,))))
    assert found.probability.shape == (0,)


def test_paths_out_of_order_and_half_seconds_twice_are_refused() -> None:
    one = np.zeros(2, np.int64)
    with pytest.raises(DataError, match="ordered"):
        FloorPaths(one, np.array([STEP_US, STEP_US + 1]), np.zeros((2, 2)))
    with pytest.raises(DataError, match="ordered"):
        FloorPaths(np.array([1, 0]), one, np.zeros((2, 2)))
    with pytest.raises(DataError, match="finite"):
        FloorPaths(one, np.array([0, STEP_US]), np.full((2, 2), np.nan))


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(12)))
def test_positions_in_any_order_make_the_same_paths(order: list[int]) -> None:
    identity, time_us = np.array([0, 1] * 6, np.int64), np.arange(12, dtype=np.int64) * 130_000
    xy_m = np.stack([np.arange(12.0), -np.arange(12.0)], axis=1)
    first, second = (floor_paths(identity[o], time_us[o], xy_m[o]) for o in (list(range(12)), order))
    assert first.identity.tolist() == second.identity.tolist()
    assert np.allclose(first.xy_m, second.xy_m)


def test_an_assessment_survives_pickling() -> None:
    found = assess_staff(signals(crossings=5))
    again = pickle.loads(pickle.dumps(found))
    assert again.reasons(0) == found.reasons(0)
    assert replace(again, bias=0.0).bias == 0.0
