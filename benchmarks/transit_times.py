"""What could be known of times between places: trained on true identities, so better than any gallery could learn it.

Of a tracklet whose person was out of sight, everybody who went out of sight in the two minutes before is a candidate.
The first half of a store's time teaches; in the second half it is counted how often the right one stands first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.transit_stores import Floats, Ints, Store
from retail_ray.core.time import US_PER_S
from retail_ray.identity.evidence import in_turn
from retail_ray.identity.settings import GallerySettings

FIRST = ("seen last", "floor distance", "learnt times", "learnt times, places shuffled")
_CELL_M, _SHORTEST_S, _SPANS_AN_OCTAVE = 2.0, 0.25, 2
_PRIOR_PAIRS = 50.0
_VARIANCE_M2 = 0.08


@dataclass(frozen=True)
class Candidates:
    """Pairs of a tracklet and somebody it could be. asked: (M,) row of the tracklet. late: (M,) in the second half.
    left_m, came_m: (M, 2). gap_s: (M,). same: (M,) whether it is."""

    asked: Ints
    late: NDArray[np.bool_]
    left_m: Floats
    came_m: Floats
    gap_s: Floats
    same: NDArray[np.bool_]


def placed_first(store: Store) -> dict[str, float]:
    """Share of the tracklets of the second half whose person stands first among the candidates."""
    found = candidates(store)
    settings = GallerySettings()
    area_m2 = float(len(np.unique(np.floor(store.seen_m), axis=0)))
    away_m = np.linalg.norm(found.came_m - found.left_m, axis=1)
    distance = in_turn(found.gap_s, away_m, np.full(len(away_m), _VARIANCE_M2), area_m2, settings)
    mixed = np.random.default_rng(0).permutation(len(away_m))
    known = {
        "seen last": -found.gap_s,
        "floor distance": distance - 1e-6 * found.gap_s,
        "learnt times": learnt(found, found.left_m, distance),
        "learnt times, places shuffled": learnt(found, found.left_m[mixed], distance),
    }
    return {name: _first(found, nats) for name, nats in known.items()}


def candidates(store: Store) -> Candidates:
    """Of every tracklet whose person was seen within the memory's time before, and is not in sight as it begins."""
    first = np.full(len(store.keys), len(store.seen))
    last = np.zeros(len(store.keys), np.int64)
    order = np.argsort(store.seen_us, kind="stable")
    last[store.seen[order]] = order
    first[store.seen[order[::-1]]] = order[::-1]
    first_us, last_us = store.seen_us[first], store.seen_us[last]
    horizon_us = round(GallerySettings().memory_s * US_PER_S)
    parts: list[tuple[int, int]] = []
    for row in range(len(store.keys)):
        begin_us = first_us[row]
        in_sight = store.person[(first_us <= begin_us) & (last_us >= begin_us) & (np.arange(len(first)) != row)]
        gone = np.flatnonzero((last_us < begin_us) & (last_us >= begin_us - horizon_us))
        gone = gone[~np.isin(store.person[gone], in_sight)]
        nearest = gone[np.argsort(-last_us[gone], kind="stable")]
        _, at = np.unique(store.person[nearest], return_index=True)
        if store.person[row] in store.person[nearest]:
            parts += [(row, int(other)) for other in nearest[np.sort(at)]]
    asked, other = np.array(parts, np.int64).reshape(-1, 2).T
    return Candidates(
        asked,
        first_us[asked] >= store.end_us / 2,
        store.seen_m[last[other]],
        store.seen_m[first[asked]],
        (first_us[asked] - last_us[other]) / US_PER_S,
        store.person[asked] == store.person[other],
    )


def learnt(found: Candidates, left_m: Floats, distance: Floats) -> Floats:
    """(M,) log-odds of being meant, from how often the first half's candidates were, shrunk towards `distance`:
    by span of time, and by span and the squares of 2 m that the way joins."""
    span = np.floor(_SPANS_AN_OCTAVE * np.log2(np.maximum(found.gap_s, _SHORTEST_S) / _SHORTEST_S))
    cells = np.floor(np.concatenate([left_m, found.came_m], axis=1) / _CELL_M)
    near = np.minimum(np.floor(np.linalg.norm(found.came_m - left_m, axis=1)), 8.0)
    nats = distance
    for keys in (np.column_stack([span, near]), np.column_stack([span, cells])):
        _, place = np.unique(keys, axis=0, return_inverse=True)
        place = place.ravel()
        meant = np.bincount(place, ~found.late)[place]
        were = np.bincount(place, ~found.late & found.same)[place]
        before = 1.0 / (1.0 + np.exp(-nats))
        nats = np.log((were + _PRIOR_PAIRS * before) / (meant - were + _PRIOR_PAIRS * (1 - before)))
    return np.asarray(nats - 1e-6 * found.gap_s)


def _first(found: Candidates, nats: Floats) -> float:
    order = np.lexsort((np.arange(len(nats)), -nats, found.asked))
    order = order[found.late[order]]
    _, at = np.unique(found.asked[order], return_index=True)
    return float(found.same[order[at]].mean())
