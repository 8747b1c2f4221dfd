"""How long people take between places, learnt on the site: how often it was them, how often nobody known.

The floor is cut into squares. For each two squares and each span of time unseen, of all who had gone so long from the
one when a tracklet began in the other, the probabilities that it was them are summed, and those that it was nobody
known. The ratio is what a way is worth before anybody looks: the step of expectation maximisation that measures the
shares of a mixture (Dempster, Laird, Rubin, 1977), where looks and floor tell the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.identity.evidence import Flags, Floats
from retail_ray.identity.settings import GallerySettings

Ints = NDArray[np.int64]
CELL_M = 2.0
_SHORTEST_S, _SPANS_AN_OCTAVE, _SPANS = 0.25, 2, 32
_NEAREST_M, _BANDS = 0.5, 8
_CELLS = 1 << 12
_MOST_ROWS = 50_000
_FULL = 4000.0


@dataclass(frozen=True, slots=True)
class Ways:
    """M ways between sightings. left_m, came_m: (M, 2) metres. gap_s: (M,) above zero."""

    left_m: Floats
    came_m: Floats
    gap_s: Floats

    def __getitem__(self, rows: Flags) -> Ways:
        return Ways(self.left_m[rows], self.came_m[rows], self.gap_s[rows])

    def by_distance(self) -> Ints:
        """(M,) number of span of time and band of distance, wherever on the floor."""
        away_m = np.linalg.norm(self.came_m - self.left_m, axis=1)
        band = np.clip(np.floor(np.log2(np.maximum(away_m, 1e-6) / _NEAREST_M)) + 1, 0, _BANDS - 1)
        return np.asarray(band.astype(np.int64) * _SPANS + self._span())

    def by_places(self) -> Ints:
        """(M,) number of span of time and the two squares."""
        cells = np.concatenate([self.left_m, self.came_m], axis=1) // CELL_M
        number = self._span()
        for axis in range(4):
            number = number * _CELLS + np.clip(cells[:, axis].astype(np.int64) + _CELLS // 2, 0, _CELLS - 1)
        return number

    def _span(self) -> Ints:
        octaves = np.log2(np.maximum(self.gap_s, _SHORTEST_S) / _SHORTEST_S)
        return np.asarray(np.minimum(np.floor(_SPANS_AN_OCTAVE * octaves), _SPANS - 1).astype(np.int64))


class Counts:
    """By number of a way: sums of how often it was nobody known, how often this one, and of nats that births saved.

    At most 50,000 numbers are kept, those seen least go first; old ones fade as new ones come.
    """

    def __init__(self) -> None:
        self._numbers = np.zeros(0, np.int64)
        self._sums = np.zeros((0, 3))

    def add(self, numbers: Ints, values: Floats) -> None:
        """numbers: (M,). values: (M, 3) as the columns that `of` gives back."""
        joined = np.concatenate([self._numbers, numbers])
        self._numbers, place = np.unique(joined, return_inverse=True)
        sums = np.zeros((len(self._numbers), 3))
        np.add.at(sums, place.ravel(), np.concatenate([self._sums, values]))
        self._sums = sums * np.minimum(1.0, _FULL / np.maximum(sums[:, :2].sum(axis=1, keepdims=True), 1e-9))
        if len(self._numbers) > _MOST_ROWS:
            kept = np.sort(np.argsort(-self._sums[:, :2].sum(axis=1), kind="stable")[: _MOST_ROWS // 2])
            self._numbers, self._sums = self._numbers[kept], self._sums[kept]

    def of(self, numbers: Ints) -> Floats:
        """(M, 3) nobody, this one, saved."""
        found = np.zeros((len(numbers), 3))
        if len(self._numbers):
            at = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
            known = self._numbers[at] == numbers
            found[known] = self._sums[at[known]]
        return found

    def state(self) -> tuple[bytes, bytes]:
        return self._numbers.tobytes(), self._sums.tobytes()

    def restore(self, state: Sequence[bytes]) -> None:
        self._numbers = np.frombuffer(state[0], np.int64)
        self._sums = np.frombuffer(state[1], np.float64).reshape(-1, 3)


class Transit:
    """What ways are worth on this site. version: how many tracklets it was learnt from; 0: the floor's distance alone
    decides."""

    def __init__(self, settings: GallerySettings) -> None:
        self._settings = settings
        self._by_distance, self._by_places = Counts(), Counts()
        self.version = 0

    def evidence(self, ways: Ways, prior: Floats) -> Floats:
        """(M,) nats of ways, from `prior` (M,) nats that their distances alone would give."""
        pairs = self._settings.transit_prior_pairs
        if not np.isfinite(pairs) or not self.version:
            return prior
        known = _shrunk(self._by_distance.of(ways.by_distance()), prior, pairs)
        known = _shrunk(self._by_places.of(ways.by_places()), known, pairs)
        return np.clip(known, -self._settings.transit_doubt, self._settings.transit_limit)

    def learn(self, ways: Ways, nobody: Floats, same: Floats, saved: Floats) -> None:
        """Take in one tracklet's ways to M people who could be meant.

        nobody: (M,) probability that it was nobody known. same: (M,) that it was this one. saved: (M,) nats that
        stood for it already because nobody is born there.
        """
        if not len(same):
            return
        values = np.stack([nobody, same, saved * (nobody + same)], axis=1)
        self._by_distance.add(ways.by_distance(), values)
        self._by_places.add(ways.by_places(), values)
        self.version += 1

    def state(self) -> tuple[Any, ...]:
        return self._by_distance.state(), self._by_places.state(), self.version

    def restore(self, state: Sequence[Any]) -> None:
        by_distance, by_places, self.version = state
        self._by_distance.restore(by_distance)
        self._by_places.restore(by_places)


def _shrunk(counted: Floats, prior: Floats, pairs: float) -> Floats:
    """Log of how often it was this one against nobody, from counts (M, 3) to which `pairs` of the prior are added."""
    nobody, same, saved = counted.T
    before = 1.0 / (1.0 + np.exp(-prior))
    return np.asarray(
        np.log((same + pairs * before) / (nobody + pairs * (1.0 - before))) - saved / (nobody + same + pairs)
    )
