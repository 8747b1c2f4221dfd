"""Cameras whose calibration contradicts the others: their people walk where no other camera sees anybody walk so.

A sighting in motion is owed a partner in every other camera that has seen people in the same square metre. Partners
are near and move alike, so that few are there by chance, however full the store is: of a rightly calibrated camera
a good part of the sightings has one, of a shifted or exchanged one hardly any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from retail_ray.core.time import US_PER_S
from retail_ray.identity.evidence import Flags, Floats
from retail_ray.identity.settings import GallerySettings

_WALKING_M_S = 0.6
_ALIKE = 0.5
_NEAR_M = 0.8
_SHARPEST_M = 0.4
_SEEN_BY = 3
_MOST_SIGHTINGS = 450.0
_CLEARED_FROM = 1.5
_SPEAKS = 0.1
_FRIENDS, _FRIENDLY = 0.3, 2.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one camera's people agree with those of the others: sightings that are owed a partner, and that have one.

    Both forget slowly. doubted: the floor of this camera says nothing about others. against: the cameras that speak
    against it. alone: those may be the wrong ones as well, because no majority says which.
    """

    camera: int
    owed: float
    agreed: float
    doubted: bool
    against: tuple[int, ...] = ()
    alone: bool = False

    @property
    def share(self) -> float:
        """NaN where nothing is owed."""
        return self.agreed / self.owed if self.owed else float("nan")


@dataclass(frozen=True, slots=True)
class _Seen:
    """One tick: (M,) camera and local id, (M, 6) places that are known and sharp."""

    camera: NDArray[np.int64]
    local_id: NDArray[np.int64]
    places: Floats

    def rows(self) -> dict[tuple[int, int], int]:
        keys = zip(self.camera.tolist(), self.local_id.tolist(), strict=True)
        return {key: row for row, key in enumerate(keys)}


class Contradictions:
    """Counts partners tick by tick and says which cameras are doubted. Deterministic: counts alone, in tick order."""

    def __init__(self, settings: GallerySettings, cameras: int) -> None:
        self._settings, self._cameras = settings, cameras
        self._owed, self._agreed = np.zeros((cameras, cameras)), np.zeros((cameras, cameras))
        self._seen_by: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._before: tuple[_Seen, ...] = ()
        self._doubted: tuple[Agreement, ...] = ()

    @property
    def doubted(self) -> Flags:
        """(C,) by camera number."""
        flags = np.zeros(self._cameras, np.bool_)
        flags[[one.camera for one in self._doubted]] = True
        return flags

    def see(self, camera: NDArray[np.int64], local_id: NDArray[np.int64], places: Floats) -> None:
        """One tick of places (M, 6), before any doubt; no camera and local id twice."""
        variance_m2 = 0.5 * (places[:, 3] + places[:, 5])
        sharp = np.isfinite(places[:, 1]) & (variance_m2 < _SHARPEST_M**2)
        now = _Seen(camera[sharp], local_id[sharp], places[sharp])
        if len(self._before) == 2:
            self._compare(*self._before, now)
        self._before = (*self._before[-1:], now)

    def judge(self) -> list[Agreement]:
        """Look at what was counted; cameras whose doubt begins or ends."""
        before = {one.camera for one in self._doubted}
        owed, agreed = self._owed + self._owed.T, self._agreed + self._agreed.T
        limit = np.full(self._cameras, self._settings.doubt_share)
        limit[sorted(before)] *= _CLEARED_FROM
        suspects = _suspects(owed, agreed, limit, self._settings.doubt_after)
        trusted = np.ones(self._cameras, np.bool_)
        trusted[suspects] = False
        due, had = owed.sum(axis=1), agreed.sum(axis=1)
        least = self._settings.doubt_after
        unheard = trusted & (due >= least) & (owed[:, trusted].sum(axis=1) < least) & (had < limit * due)
        trusted &= ~unheard
        parted = _parted(trusted, owed, agreed, limit, least)
        trusted[parted] = False
        self._doubted = tuple(
            self._doubt(
                camera, owed[camera], agreed[camera], alone=parted[camera] or owed[camera, trusted].sum() < least
            )
            for camera in np.flatnonzero(~trusted).tolist()
        )
        now = {one.camera for one in self._doubted}
        begun = [one for one in self._doubted if one.camera not in before]
        return begun + [one for one in self.of_all() if one.camera in before - now]

    def of_all(self) -> list[Agreement]:
        """Of every camera, in the order of their numbers; doubts as of the last judgement."""
        owed, agreed = self._owed + self._owed.T, self._agreed + self._agreed.T
        known = {one.camera: one for one in self._doubted}
        return [
            replace(known[camera], owed=float(owed[camera].sum()), agreed=float(agreed[camera].sum()))
            if camera in known
            else Agreement(camera, float(owed[camera].sum()), float(agreed[camera].sum()), doubted=False)
            for camera in range(self._cameras)
        ]

    def state(self) -> tuple[Any, ...]:
        cells = [(cell, seen.tobytes()) for cell, seen in sorted(self._seen_by.items())]
        ticks = [(one.camera.tobytes(), one.local_id.tobytes(), one.places.tobytes()) for one in self._before]
        doubted = [astuple(one) for one in self._doubted]
        return self._owed.tobytes(), self._agreed.tobytes(), cells, ticks, doubted

    def restore(self, state: Sequence[Any]) -> None:
        owed, agreed, cells, ticks, doubted = state
        shape = (self._cameras, self._cameras)
        self._owed, self._agreed = (np.frombuffer(one).reshape(shape).copy() for one in (owed, agreed))
        self._seen_by = {cell: np.frombuffer(seen, np.int64).reshape(-1, _SEEN_BY).copy() for cell, seen in cells}
        self._before = tuple(
            _Seen(
                np.frombuffer(camera, np.int64), np.frombuffer(local_id, np.int64), np.frombuffer(places).reshape(-1, 6)
            )
            for camera, local_id, places in ticks
        )
        self._doubted = tuple(Agreement(*one) for one in doubted)

    def _doubt(self, camera: int, owed: Floats, agreed: Floats, *, alone: bool) -> Agreement:
        """owed, agreed: (C,) of this camera with each other one."""
        speaks = owed >= _SPEAKS * self._settings.doubt_after
        against = np.flatnonzero(speaks & (agreed < self._settings.doubt_share * owed)).tolist()
        return Agreement(
            camera, float(owed.sum()), float(agreed.sum()), doubted=True, against=tuple(against), alone=bool(alone)
        )

    def _compare(self, earlier: _Seen, middle: _Seen, later: _Seen) -> None:
        """Partners at the middle tick, of those seen in all three."""
        first, last = earlier.rows(), later.rows()
        found = [(first[key], row, last[key]) for key, row in middle.rows().items() if key in first and key in last]
        if not found:
            return
        begin, at, end = np.array(found).T
        taken_s = (later.places[end, 0] - earlier.places[begin, 0]) / US_PER_S
        on_time = taken_s < 3 * self._settings.tick_s
        begin, at, end, taken_s = begin[on_time], at[on_time], end[on_time], taken_s[on_time]
        velocity = (later.places[end, 1:3] - earlier.places[begin, 1:3]) / np.maximum(taken_s, 1e-3)[:, None]
        camera, floor_m = middle.camera[at], middle.places[at, 1:3]
        covered = self._covered(camera, middle.local_id[at], floor_m)
        walking = np.flatnonzero(np.hypot(*velocity.T) >= _WALKING_M_S)
        partner = _partners(walking, camera, floor_m, velocity, self._cameras)
        owed = covered[walking]
        owed[np.arange(len(walking)), camera[walking]] = False
        np.add.at(self._owed, camera[walking], owed.astype(np.float64))
        np.add.at(self._agreed, camera[walking], (owed & partner).astype(np.float64))
        both = self._owed + self._owed.T
        kept = np.where(both > _MOST_SIGHTINGS, _MOST_SIGHTINGS / np.maximum(both, 1.0), 1.0)
        self._owed *= kept
        self._agreed *= kept

    def _covered(self, camera: NDArray[np.int64], local_id: NDArray[np.int64], floor_m: Floats) -> Flags:
        """(K, C) whether a camera has seen enough people in the square metre of each sighting, these included."""
        cells = list(map(tuple, np.floor(floor_m).astype(np.int64).tolist()))
        for cell, number, track in zip(cells, camera.tolist(), local_id.tolist(), strict=True):
            seen = self._seen_by.setdefault(cell, np.full((self._cameras, _SEEN_BY), -1, np.int64))[number]
            free = np.flatnonzero(seen == -1)
            if len(free) and track not in seen:
                seen[free[0]] = track
        counted = [self._seen_by[cell][:, -1] >= 0 for cell in cells]
        return np.array(counted, np.bool_).reshape(len(cells), self._cameras)


def _partners(
    walking: NDArray[np.intp], camera: NDArray[np.int64], floor_m: Floats, velocity: Floats, cameras: int
) -> Flags:
    """(W, C) whether a camera sees somebody near each walking sighting who moves alike."""
    near = cKDTree(floor_m).query_pairs(_NEAR_M, output_type="ndarray")
    one, other = np.concatenate([near, near[:, ::-1]]).T
    speed_m_s = np.hypot(*velocity.T)
    alike = np.hypot(*(velocity[one] - velocity[other]).T) < _ALIKE * speed_m_s[one]
    found = np.zeros((len(camera), cameras), np.bool_)
    found[one[alike], camera[other[alike]]] = True
    return found[walking]


def _suspects(owed: Floats, agreed: Floats, limit: Floats, least: float) -> list[int]:
    """Cameras that agree with too few of the rest, the most contradicted first: without it others may be right."""
    rest = np.ones(len(owed), np.bool_)
    found: list[int] = []
    while True:
        due, had = owed[:, rest].sum(axis=1), agreed[:, rest].sum(axis=1)
        lacks = np.where(rest & (due >= least), np.round(limit * due - had, 6), 0.0)
        worst = int(lacks.argmax())
        if not lacks[worst] > 0:
            return found
        found.append(worst)
        rest[worst] = False


def _parted(trusted: Flags, owed: Floats, agreed: Floats, limit: Floats, least: float) -> Flags:
    """(C,) trusted cameras that agree with some and contradict others, as exchanged ones do that face each other.

    Cameras that agree form groups. Of two groups that contradict each other the smaller is doubted, or both.
    """
    friends = (owed >= _FRIENDS * least) & (agreed >= _FRIENDLY * limit[:, None] * owed) & trusted[:, None] & trusted
    _, group = connected_components(csr_array(friends), directed=False)
    groups = [np.flatnonzero((group == number) & trusted) for number in range(int(group.max(initial=-1)) + 1)]
    found = np.zeros(len(owed), np.bool_)
    for one, other in combinations([members for members in groups if len(members)], 2):
        due, had = owed[np.ix_(one, other)].sum(), agreed[np.ix_(one, other)].sum()
        if due >= least and had < max(limit[one].max(), limit[other].max()) * due:
            found[one] |= len(one) <= len(other)
            found[other] |= len(other) <= len(one)
    return found
