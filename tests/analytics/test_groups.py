"""Companions are a group; strangers at a busy door, in one aisle or in one queue are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.groups import (
    ALONE,
    Companions,
    GroupCounts,
    GroupSettings,
    count_entries,
    find_groups,
    joined,
    pair_probability,
    velocities,
)
from retail_ray.core.floor_paths import DoorCrossings, FloorPaths, floor_paths

Way = list[tuple[float, float, float]]
"""Corners of a way: seconds, x, y."""


def walked(*ways: Way) -> FloorPaths:
    """Identity 0 goes the first way, and so on; straight from corner to corner."""
    identity, time_us, xy_m = [], [], []
    for number, way in enumerate(ways):
        corners = np.array(way, np.float64)
        at_s = np.arange(corners[0, 0], corners[-1, 0], 0.5)
        identity.append(np.full(len(at_s), number, np.int64))
        time_us.append(np.rint(at_s * 1e6).astype(np.int64))
        xy_m.append(np.stack([np.interp(at_s, corners[:, 0], corners[:, axis]) for axis in (1, 2)], axis=1))
    return floor_paths(np.concatenate(identity), np.concatenate(time_us), np.concatenate(xy_m))


def came_in(*times_s: float, line: int = 0) -> DoorCrossings:
    n = len(times_s)
    times_us = np.rint(np.array(times_s) * 1e6).astype(np.int64)
    return DoorCrossings(np.arange(n), np.full(n, line, np.int64), times_us, np.ones(n, np.bool_))


ROUND: Way = [(0, 0, 0), (10, 8, 0), (30, 8, 1), (50, 8, 12), (90, 8, 12), (110, 0, 12), (130, 0, 2)]


def beside(way: Way, x_m: float, later_s: float = 0.0) -> Way:
    return [(t + later_s, x + x_m, y) for t, x, y in way]


def test_two_who_walk_together_are_a_group_and_a_third_is_alone() -> None:
    other: Way = [(1, 0, 0), (15, -10, 3), (120, -12, 9)]
    found = find_groups(walked(ROUND, beside(ROUND, 0.7), other), came_in(0.5, 1.0, 1.5), 3)
    assert found.group.tolist() == [0, 0, ALONE]
    assert len(found.pairs) == 3
    assert found.pairs.probability.max() > 0.9


def test_the_same_walk_without_co_entry_is_no_group() -> None:
    """The control: evidence of moving together alone does not make a group."""
    found = find_groups(walked(ROUND, beside(ROUND, 0.7)), came_in(0.5, 9.0), 2)
    assert found.group.tolist() == [ALONE, ALONE]
    assert not len(found.pairs)


def test_entries_over_different_lines_are_no_co_entry() -> None:
    crossings = came_in(0.5, 1.0)
    apart = DoorCrossings(crossings.identity, np.array([0, 1]), crossings.time_us, crossings.inwards)
    assert not len(find_groups(walked(ROUND, beside(ROUND, 0.7)), apart, 2).pairs)


def test_strangers_who_part_at_the_door_are_no_group() -> None:
    left: Way = [(0, 0, 0), (4, 0, 4), (100, -15, 5)]
    right: Way = [(0, 0.8, 0), (4, 0.8, 4), (100, 15, 5)]
    assert find_groups(walked(left, right), came_in(0.5, 0.8), 2).group.tolist() == [ALONE, ALONE]


def test_strangers_who_enter_together_and_wait_in_one_queue_are_no_group() -> None:
    """They stand near each other for minutes, but were apart before, and never walk together."""
    first: Way = [(0, 0, 0), (20, 12, 3), (60, 12, 12), (90, 4, 10), (240, 4, 10)]
    second: Way = [(0, 0.8, 0), (20, -9, 3), (80, -9, 12), (110, 4, 11), (240, 4, 11)]
    found = find_groups(walked(first, second), came_in(0.5, 1.0), 2)
    assert found.pairs.still_s[0] > 100
    assert found.group.tolist() == [ALONE, ALONE]


def test_a_chain_of_strangers_does_not_become_one_group() -> None:
    """Each is likely with the next one and with nobody else."""
    n = 6
    first, second = np.arange(n - 1), np.arange(1, n)
    zero = np.zeros(n - 1)
    group = joined(Companions(first, second, zero, zero, zero, zero, zero, np.full(n - 1, 0.8)), n, 0.5)
    sizes = np.bincount(group[group != ALONE])
    assert sizes.max() <= 2


def test_a_family_of_four_is_one_group() -> None:
    ways = [ROUND, beside(ROUND, 0.6), beside(ROUND, 1.2), beside(ROUND, 0.3, later_s=1.0)]
    found = find_groups(walked(*ways), came_in(0.5, 1.0, 1.4, 2.9), 4)
    assert found.group.tolist() == [0, 0, 0, 0]


def test_who_is_seen_too_briefly_is_alone() -> None:
    short = [ROUND[0], (6.0, 5.0, 0.0)]
    found = find_groups(walked(short, beside(short, 0.5)), came_in(0.5, 0.6), 2)
    assert found.pairs.probability.tolist() == [0.0]
    assert found.group.tolist() == [ALONE, ALONE]


times = st.floats(0, 600)


@settings(max_examples=50, deadline=None)
@given(times, times, times, st.floats(0, 300))
def test_time_near_each_other_speaks_for_a_group_and_time_apart_against(
    walking_s: float, still_s: float, apart_s: float, more_s: float
) -> None:
    def p(walking: float, still: float, apart: float) -> float:
        near = walking + still
        values = (np.array([value]) for value in (near + apart + 10, near, walking, still))
        return float(pair_probability(*values, GroupSettings())[0])

    base = p(walking_s, still_s, apart_s)
    assert p(walking_s + more_s, still_s, apart_s) >= base - 1e-12
    assert p(walking_s, still_s, apart_s + more_s) <= base + 1e-12


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(4)))
def test_numbers_of_identities_do_not_matter(order: list[int]) -> None:
    ways = [ROUND, beside(ROUND, 0.7), beside(ROUND, 40.0), beside(ROUND, 40.6)]
    entered = (0.5, 1.0, 30.0, 30.4)
    found = find_groups(walked(*(ways[i] for i in order)), came_in(*(entered[i] for i in order)), 4)
    place = [order.index(i) for i in range(4)]
    assert found.group[place[0]] == found.group[place[1]] != ALONE
    assert found.group[place[0]] != found.group[place[2]]


def test_velocities_do_not_bridge_people_or_gaps() -> None:
    paths = walked([(0, 0, 0), (5, 5, 0)], [(0, 100, 0), (5, 100, 5)])
    assert np.allclose(velocities(paths)[:10], (1.0, 0.0))
    assert np.allclose(velocities(paths)[10:], (0.0, 1.0))
    lone = floor_paths(np.zeros(2, np.int64), np.array([0, 60_000_000]), np.array([[0.0, 0.0], [9.0, 0.0]]))
    assert np.isnan(velocities(lone)).all()


def test_entries_are_counted_as_persons_and_as_groups() -> None:
    """A pair comes, somebody alone, and one of the pair again later."""
    crossings = DoorCrossings(
        np.array([0, 1, 2, 1, 0]), np.zeros(5, np.int64), np.array([0, 2, 4, 600, 900]) * 1_000_000,
        np.array([True, True, True, True, False]),
    )  # fmt: skip
    assert count_entries(crossings, np.array([0, 0, ALONE])) == GroupCounts(persons=4, groups=3)


@pytest.mark.parametrize("people", [0, 1])
def test_nobody_and_one_person_make_no_group(people: int) -> None:
    paths = walked(ROUND).identity[:0], walked(ROUND).time_us[:0], walked(ROUND).xy_m[:0]
    found = find_groups(FloorPaths(*paths), came_in(*[1.0] * people), people)
    assert found.group.tolist() == [ALONE] * people
