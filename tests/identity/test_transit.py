"""What the gallery learns of the time between places."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.transit import Counts, Transit, Ways

SETTINGS = GallerySettings()
DOOR, ROOM, TILL = (1.0, 1.0), (9.0, 1.0), (1.0, 9.0)


def ways(left: tuple[float, float], came: tuple[float, float], *gap_s: float) -> Ways:
    n = len(gap_s)
    return Ways(np.tile(left, (n, 1)), np.tile(came, (n, 1)), np.array(gap_s))


def corridor(times: int, came: tuple[float, float] = ROOM) -> Transit:
    """Who left the door 8 s ago is who comes in three of four times; who left it 40 s ago never is."""
    known = Transit(SETTINGS)
    for _ in range(times):
        known.learn(ways(DOOR, came, 8.0, 40.0), np.full(2, 0.25), np.array([0.75, 0.0]), np.zeros(2))
    return known


def nats(known: Transit, left: tuple[float, float], came: tuple[float, float], gap_s: float) -> float:
    return float(known.evidence(ways(left, came, gap_s), np.zeros(1))[0])


def test_a_corridor_takes_the_time_that_it_takes() -> None:
    known = corridor(3000)
    assert nats(known, DOOR, ROOM, 8.0) == pytest.approx(np.log(3), abs=0.02)
    assert nats(known, DOOR, ROOM, 40.0) < -3


def test_before_anything_is_learnt_the_distance_alone_decides() -> None:
    prior = np.array([2.0, -1.5])
    assert Transit(SETTINGS).evidence(ways(DOOR, ROOM, 8.0, 40.0), prior).tolist() == prior.tolist()


def test_the_more_was_seen_the_less_the_distance_counts() -> None:
    told = [nats(corridor(times), DOOR, ROOM, 8.0) for times in (1, 10, 100, 1000)]
    assert told == sorted(told)
    assert told[0] < 0.2 < told[-1]


def test_births_that_already_spoke_are_not_counted_twice() -> None:
    plain, saved = Transit(SETTINGS), Transit(SETTINGS)
    for known, nats_saved in ((plain, 0.0), (saved, 2.0)):
        for _ in range(3000):
            known.learn(ways(DOOR, ROOM, 8.0), np.full(1, 0.25), np.full(1, 0.75), np.full(1, nats_saved))
    assert nats(plain, DOOR, ROOM, 8.0) - nats(saved, DOOR, ROOM, 8.0) == pytest.approx(2.0, abs=0.05)


def test_places_that_were_never_joined_gain_nothing_from_a_corridor_of_others() -> None:
    """The control: the same times, learnt between shuffled places, say nothing for this pair of squares."""
    shuffled = Transit(SETTINGS)
    rng = np.random.default_rng(1)
    for _ in range(3000):
        came = (DOOR, ROOM, TILL)[rng.integers(3)]
        gap_s = float(rng.choice([2.0, 8.0, 40.0]))
        shuffled.learn(ways(came, TILL, gap_s), np.full(1, 0.5), np.full(1, 0.5), np.zeros(1))
    assert abs(nats(shuffled, DOOR, ROOM, 8.0)) < 0.3 < nats(corridor(3000), DOOR, ROOM, 8.0)


def test_nothing_is_lost_when_it_is_saved_and_order_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 50, 400)
    values = rng.integers(0, 8, (400, 3)) / 8.0
    forward, backward, restored = Counts(), Counts(), Transit(SETTINGS)
    forward.add(numbers, values)
    for row in range(399, -1, -1):
        backward.add(numbers[row : row + 1], values[row : row + 1])
    assert forward.state() == backward.state()
    known = corridor(10)
    restored.restore(pickle.loads(pickle.dumps(known.state())))
    assert restored.state() == known.state()
    assert nats(restored, DOOR, ROOM, 8.0) == nats(known, DOOR, ROOM, 8.0)


def test_memory_is_bounded() -> None:
    counts = Counts()
    for number in range(4):
        counts.add(np.arange(20_000) + 20_000 * number, np.ones((20_000, 3)))
    counts.add(np.array([1, 1]), np.full((2, 3), 1e6))
    assert len(counts.state()[0]) <= 8 * 50_000
    assert counts.of(np.array([1]))[0, 0] <= 4000


def test_in_a_crowd_a_way_says_little_for_anyone() -> None:
    """Of a hundred people unseen it was hardly ever one: looks that fit one stranger in twenty link nobody."""
    known = Transit(SETTINGS)
    for _ in range(60):
        known.learn(ways(DOOR, ROOM, *[30.0] * 100), np.full(100, 0.9), np.full(100, 0.001), np.zeros(100))
    assert nats(known, DOOR, ROOM, 30.0) < -3


def test_without_learning_nothing_is_learnt() -> None:
    known = Transit(GallerySettings(transit_prior_pairs=float("inf")))
    known.learn(ways(DOOR, ROOM, 8.0), np.full(1, 0.9), np.full(1, 0.1), np.zeros(1))
    assert nats(known, DOOR, ROOM, 8.0) == 0.0
