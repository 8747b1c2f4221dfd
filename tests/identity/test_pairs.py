"""The table of tracklets in memory: against sums taken by hand, through growth, forgetting and a restart."""

from __future__ import annotations

import numpy as np
import pytest

from retail_ray.identity.entrances import Entrance, birth_cost
from retail_ray.identity.evidence import same_place
from retail_ray.identity.pairs import PairTable
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.transit import Transit

SETTINGS = GallerySettings()
S = 1_000_000


def filled(rows: int = 90, ticks: int = 6, seed: int = 2) -> tuple[PairTable, list[tuple[np.ndarray, np.ndarray]]]:
    rng = np.random.default_rng(seed)
    table, seen = PairTable(SETTINGS, 3), []
    for row in range(rows):
        assert table.add(row % 3, 0) == row
    for tick in range(ticks):
        at = np.sort(rng.permutation(rows)[: rows // 2])
        places = np.column_stack(
            [np.full(len(at), tick * S), rng.uniform(0, 5, (len(at), 2)), np.tile([0.1, 0.0, 0.1], (len(at), 1))]
        )
        places[rng.random(len(at)) < 0.2, 1:] = np.nan
        table.see(at, np.full((len(at), 2), tick * S), places)
        seen.append((at, places))
    return table, seen


def test_evidence_is_that_of_the_ticks_in_which_both_were_placed() -> None:
    table, seen = filled()
    for i, j in ((0, 1), (4, 11), (17, 60)):
        values = []
        for at, places in seen:
            if i in at and j in at:
                a, b = (places[np.flatnonzero(at == row)] for row in (i, j))
                if np.isfinite(a).all() and np.isfinite(b).all():
                    values.append(float(same_place(a[:, 1:], b[:, 1:], SETTINGS)[0, 0]))
        expected = 0.0
        if values:
            lenience = SETTINGS.place_lenience * np.clip((np.mean(values) - np.log(SETTINGS.outlier_share)) / 0.5, 0, 1)
            expected = np.mean(values) * (1 + SETTINGS.tick_weight * np.log2(len(values))) + lenience
        found = table.floor_evidence(np.array([i]))[0, j]
        np.testing.assert_allclose(found, np.clip(expected, -SETTINGS.floor_doubt, SETTINGS.floor_limit), atol=1e-3)


def test_one_camera_that_sees_both_says_two_people_even_where_places_are_unknown() -> None:
    table = PairTable(SETTINGS, 3)
    nowhere = np.full((2, 6), np.nan)
    for _ in range(2):
        table.add(0, 0)
    for tick in range(3):
        table.see(np.array([0, 1]), np.full((2, 2), tick * S), nowhere)
    nowhere_together = np.log(SETTINGS.outlier_share) * (1 + SETTINGS.tick_weight * np.log2(3))
    found = table.floor_evidence(np.array([0]))[0, 1]
    np.testing.assert_allclose(found, nowhere_together - SETTINGS.concurrent_cost, atol=1e-3)


@pytest.mark.parametrize(
    ("cameras", "apart_m", "says"), [((0, 0), 0.0, "nothing"), ((0, 0), 2.0, "two"), ((0, 1), 0.0, "one")]
)
def test_one_place_at_once_is_one_person_to_two_cameras_and_a_doubled_box_to_one(
    cameras: tuple[int, int], apart_m: float, says: str
) -> None:
    table = PairTable(SETTINGS, 2)
    for camera in cameras:
        table.add(camera, 0)
    for tick in range(8):
        spots = np.array([[tick * S, x, 0.0, 0.01, 0.0, 0.01] for x in (0.0, apart_m)])
        table.see(np.array([0, 1]), np.full((2, 2), tick * S), spots)
    found = table.floor_evidence(np.array([0]))[0, 1]
    assert {"nothing": -SETTINGS.concurrent_cost < found <= 0, "two": found < -7, "one": found > 3}[says]


def test_ticks_that_agree_speak_little_louder_than_one() -> None:
    """Errors last, so that a minute in one place says hardly more than a moment."""
    found = []
    for ticks in (1, 64):
        table = PairTable(SETTINGS, 2)
        for camera in (0, 1):
            table.add(camera, 0)
        for tick in range(ticks):
            spots = np.array([[tick * S, x, 0.0, 0.09, 0.0, 0.09] for x in (0.0, 0.5)])
            table.see(np.array([0, 1]), np.full((2, 2), tick * S), spots)
        found.append(table.floor_evidence(np.array([0]))[0, 1])
    assert found[0] < found[1] < 1.6 * found[0]


def test_forgetting_and_a_restart_leave_the_others_as_they_were() -> None:
    table, _ = filled()
    before = table.floor_evidence(np.arange(90))
    ways = table.turns(np.arange(90), 50.0, Transit(SETTINGS))
    again = PairTable(SETTINGS, 3)
    again.restore(table.state())
    kept = np.arange(1, 90, 2)
    for one in (table, again):
        one.keep(kept)
        np.testing.assert_array_equal(one.floor_evidence(np.arange(45)), before[np.ix_(kept, kept)])
        for found, whole in zip(one.turns(np.arange(45), 50.0, Transit(SETTINGS)), ways, strict=True):
            np.testing.assert_array_equal(found, whole[np.ix_(kept, kept)])
        assert one.add(0, 9 * S) == 45


def test_births_are_free_at_the_door_outside_it_and_when_the_shop_opens() -> None:
    door = Entrance((0, 0), (2, 0), (1, 3))
    xy = [(1, 0.5), (1, -4), (1, 6), (5, 0.2), (np.nan, np.nan)]
    first = np.array([(60 * S, x, y, 0.1, 0, 0.1) for x, y in xy])
    cost = birth_cost([door], first, 0, np.full(5, 60 * S), SETTINGS)
    assert cost.tolist() == [0, 0, SETTINGS.birth_cost, SETTINGS.birth_cost, 0]
    assert not birth_cost([door], first, 59 * S, np.full(5, 60 * S), SETTINGS).any()
    turned = Entrance((2, 0), (0, 0), (1, 3))  # the order of the ends means nothing
    np.testing.assert_array_equal(cost, birth_cost([turned], first, 0, np.full(5, 60 * S), SETTINGS))
