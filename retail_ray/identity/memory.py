"""The tracklets that are compared in full: how they look, where they were, and what every pair of them says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.ticks import Tick
from retail_ray.identity.association import Evidence
from retail_ray.identity.contradictions import Agreement, Contradictions
from retail_ray.identity.entrances import Entrance, birth_cost, enters
from retail_ray.identity.evidence import Flags, Floats
from retail_ray.identity.looks import LooksModel, likeness
from retail_ray.identity.newcomers import Newcomers
from retail_ray.identity.pairs import PairTable, Rows
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import Key, Place, Tracklet, sightings
from retail_ray.identity.transit import Transit

_LEAST_AREA_M2 = 30.0
_CERTAIN_NATS, _CERTAIN_TICKS = 5.0, 5


class Memory:
    """Tracklets by key, in the order of their first sight, which is the order of rows in every array here."""

    def __init__(self, settings: GallerySettings, entrances: Sequence[Entrance], cameras: int) -> None:
        self._settings, self._entrances = settings, tuple(entrances)
        self._pairs = PairTable(settings, cameras)
        self._contradictions = Contradictions(settings, cameras)
        self._row: dict[Key, int] = {}
        self._learnt: set[Key] = set()
        self._floor_cells: set[tuple[int, int]] = set()
        self.tracklets: dict[Key, Tracklet] = {}
        self.looks = LooksModel.shipped(settings)
        self.transit = Transit(settings)
        self.newcomers = Newcomers(settings)
        self.opened_us = 0

    def observe(self, tick: Tick) -> list[Tracklet]:
        """Take in a tick's places, not its looks; the tracklets that are new."""
        new, rows, spans_us, places, seen_keys = [], [], [], [], []
        for camera, local_id, first_us, last_us, place in sightings(tick):
            tracklet = self.tracklets.get((camera, local_id))
            if tracklet is None:
                tracklet = self.tracklets[camera, local_id] = Tracklet(camera, local_id, first_us, last_us, first_us)
                self._row[tracklet.key] = self._pairs.add(camera, first_us)
                new.append(tracklet)
            tracklet.last_us = last_us
            rows.append(self._row[tracklet.key])
            seen_keys.append(tracklet.key)
            spans_us.append((first_us, last_us))
            places.append(place)
        if rows:
            seen = np.array(places, np.float64)
            self._pairs.see(np.array(rows, np.intp), np.array(spans_us, np.int64), seen)
            keys = np.array(seen_keys, np.int64)
            self._contradictions.see(keys[:, 0], keys[:, 1], seen)
            walked = seen[np.isfinite(seen[:, 1]), 1:3]
            self._floor_cells.update(map(tuple, np.floor(walked).astype(np.int64).tolist()))
        return new

    def judge_cameras(self) -> list[Agreement]:
        """Cameras that contradict the others are doubted from now on; those whose doubt begins or ends."""
        changed = self._contradictions.judge()
        if changed:
            self._pairs.doubt(self._contradictions.doubted)
        return changed

    def agreements(self) -> list[Agreement]:
        """How each camera agrees with the others, in the order of their numbers."""
        return self._contradictions.of_all()

    def rows(self, tracklets: Iterable[Tracklet]) -> Rows:
        return np.array([self._row[tracklet.key] for tracklet in tracklets], np.intp)

    def in_rows(self) -> list[Tracklet]:
        """All tracklets, by row."""
        return [self.tracklets[key] for key in self._row]

    def person_of(self) -> NDArray[np.int64]:
        """(N,) person of each row, -1 where it waits."""
        return np.array([-1 if t.person is None else t.person for t in self.in_rows()], np.int64)

    def first_places(self, rows: Rows) -> Floats:
        """(T, 6) as `Place`; unknown where the camera is doubted."""
        return np.where(self._pairs.is_doubted(rows)[:, None], np.nan, self._pairs.first[rows])

    def ends(self, tracklet: Tracklet) -> tuple[Place, Place]:
        """First and last place; unknown where the camera is doubted."""
        row = self.rows([tracklet])
        unknown = self._pairs.is_doubted(row)[0]
        ends = (np.where(unknown, np.nan, places[row[0]]) for places in (self._pairs.first, self._pairs.last))
        first, last = (tuple(place.tolist()) for place in ends)
        return first, last

    def enters(self, rows: Rows) -> Flags:
        """(T,) whether these tracklets began at an entrance."""
        first_us = self._pairs.first_us[rows]
        return enters(self._entrances, self.first_places(rows), self.opened_us, first_us, self._settings)

    def area_m2(self) -> float:
        """Floor on which anybody was seen, in square metres."""
        return max(_LEAST_AREA_M2, float(len(self._floor_cells)))

    def evidence(self, rows: Rows) -> Evidence:
        """Of these rows against all."""
        gap_s, way, fast = self._pairs.turns(rows, self.area_m2(), self.transit)
        itself = rows[:, None] == np.arange(len(self._pairs))[None]
        first_us = self._pairs.first_us
        first = self.first_places(np.arange(len(self._pairs)))
        birth = birth_cost(self._entrances, first, self.opened_us, first_us, self._settings)
        return Evidence(
            fast & ~itself,
            np.where(itself, 0.0, self._pairs.floor_evidence(rows)),
            np.where(itself, np.nan, self.looks.evidence(self._likeness(rows))),
            np.where(itself, np.inf, gap_s),
            np.where(itself, 0.0, way),
            (first_us[rows], first_us),
            (birth[rows], birth),
        )

    def learn_ways(
        self, rows: Rows, evidence: Evidence, share: Floats, people: NDArray[np.int64], person_of: NDArray[np.int64]
    ) -> None:
        """Of T tracklets that are decided: (T, P) probability of being each of P people, `evidence` against all."""
        for at, row in enumerate(rows.tolist()):
            order = np.lexsort((evidence.gap_s[at], person_of))
            order = order[person_of[order] >= 0]
            _, first = np.unique(person_of[order], return_index=True)
            nearest = order[first]
            same = share[at, np.searchsorted(people, person_of[nearest])]
            ways = self._pairs.ways(row, nearest)
            used = (ways.gap_s > 0) & ~evidence.veto[at, nearest] & np.isfinite(evidence.looks[at, nearest])
            used &= np.isfinite(ways.left_m).all(axis=1) & np.isfinite(ways.came_m).all(axis=1)
            later = evidence.first_us[0][at] >= evidence.first_us[1][nearest]
            saved = np.where(later, evidence.birth[0][at], evidence.birth[1][nearest])
            nobody = np.full(int(used.sum()), max(0.0, 1.0 - float(share[at].sum())))
            self.transit.learn(ways[used], nobody, same[used], saved[used])

    def measure_looks(self) -> None:
        """Learn what likeness is worth from pairs that are certain without it, each pair once."""
        if not len(self._pairs):
            return
        everybody = self.in_rows()
        new = np.array([tracklet.key not in self._learnt for tracklet in everybody])
        fresh = np.triu(new[:, None] | new[None], 1)
        same_camera = self._pairs.camera[:, None] == self._pairs.camera[None]
        floor = self._pairs.floor_evidence(np.arange(len(everybody)))
        one = ~same_camera & (floor >= _CERTAIN_NATS) & (self._pairs.ticks >= _CERTAIN_TICKS)
        # Not of doubled boxes, which are in one place.
        two = same_camera & (floor <= -self._settings.concurrent_cost)
        self.looks.learn(self._likeness(np.arange(len(everybody))), fresh & one, fresh & two)
        self._learnt |= {tracklet.key for tracklet in everybody if tracklet.appearance is not None}

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all other tracklets."""
        kept = [key for key in self._row if key in keys]
        self._pairs.keep(np.array([self._row[key] for key in kept], np.intp))
        self._row = {key: row for row, key in enumerate(kept)}
        self.tracklets = {key: tracklet for key, tracklet in self.tracklets.items() if key in self._row}
        self._learnt &= self._row.keys()

    def forget_looks(self, now_us: int) -> None:
        """Embeddings expire with the session; every tracklet waits to be recognised anew."""
        for tracklet in self.tracklets.values():
            tracklet.forget_looks(now_us)
        self._learnt.clear()
        self.opened_us = now_us

    def state(self) -> tuple[Any, ...]:
        return (
            self._pairs.state(),
            list(self._row),
            list(self.tracklets.values()),
            (self.looks.same, self.looks.different, self.looks.version),
            (sorted(self._learnt), sorted(self._floor_cells), self.opened_us),
            self._contradictions.state(),
            self.transit.state(),
            self.newcomers.state(),
        )

    def restore(self, state: Sequence[Any]) -> None:
        pairs, keys, tracklets, looks, rest, contradictions, transit, newcomers = state
        self._pairs.restore(pairs)
        self._contradictions.restore(contradictions)
        self.transit.restore(transit)
        self.newcomers.restore(newcomers)
        self._row = {key: row for row, key in enumerate(keys)}
        self.tracklets = {tracklet.key: tracklet for tracklet in tracklets}
        self.looks = LooksModel(self._settings, *looks)
        learnt, cells, self.opened_us = rest
        self._learnt, self._floor_cells = set(learnt), set(cells)

    def _likeness(self, rows: Rows) -> Floats:
        means = [tracklet.mean() for tracklet in self.in_rows()]
        dimension = next((len(mean) for mean in means if mean is not None), 1)
        filled = np.zeros((len(means), dimension), np.float32)
        for row, mean in enumerate(means):
            if mean is not None:
                filled[row] = mean
        return likeness(filled, self._pairs.camera, self._settings, rows)
