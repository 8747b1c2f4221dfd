"""The table of tracklets in memory: against sums taken by hand, through growth, forgetting and a restart."""

from __future__ import annotations

import numpy as np

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
        table.see(at, np.full(len(at), tick * S), places)
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
        expected = np.mean(values) * (1 + SETTINGS.tick_weight * (len(values) - 1)) if values else 0.0
        found = table.floor_evidence(np.array([i]))[0, j]
        np.testing.assert_allclose(found, max(expected, -SETTINGS.floor_doubt), atol=1e-3)


def test_one_camera_that_sees_both_says_two_people_even_where_places_are_unknown() -> None:
    table = PairTable(SETTINGS, 3)
    nowhere = np.full((2, 6), np.nan)
    for _ in range(2):
        table.add(0, 0)
    for tick in range(3):
        table.see(np.array([0, 1]), np.full(2, tick * S), nowhere)
    assert table.floor_evidence(np.array([0]))[0, 1] == -3 * SETTINGS.concurrent_cost


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
