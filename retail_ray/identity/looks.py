"""How alike two tracklets look, free of what a site's cameras and people have in common, and what that says.

Double centring: the cosine of two tracklets less what each usually has with the people of the other's camera. Light,
white balance and a crowd of similar clothes raise all cosines alike and drop out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.identity.evidence import Flags, Floats, gaussian_ratio
from retail_ray.identity.settings import GallerySettings

_PRIOR_PAIRS = 5.0
_PRIOR_SAME, _PRIOR_DIFFERENT = 40.0, 60.0
_MOST_PAIRS = 2000.0
_NARROWEST = 0.03


def likeness(
    means: NDArray[np.float32],
    camera: NDArray[np.int64],
    settings: GallerySettings,
    rows: NDArray[np.intp] | None = None,
) -> Floats:
    """(T, N) centred likeness of `rows`, or of all, with N tracklets by their mean embeddings (N, D), normalised, or
    zero where unknown.

    NaN where either has none. Rounded, so that the last bits, which depend on the number of rows, decide nothing.
    """
    rows = np.arange(len(means)) if rows is None else rows
    described = np.einsum("nd,nd->n", means, means) > 0.5
    place, usual, both = _usual(means.astype(np.float64), described, camera, settings)
    cosine = np.asarray(means[rows] @ means.T, np.float64)
    centred = cosine - usual[rows][:, place] - usual[:, place[rows]].T + both[place[rows]][:, place]
    return np.asarray(np.where(described[rows, None] & described[None], np.round(centred, 4), np.nan))


def _usual(
    means: Floats, described: Flags, camera: NDArray[np.int64], settings: GallerySettings
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """(N,) which of C cameras; (N, C) cosine that each has with a camera's others; (C, C) that of two cameras' people.

    The mean cosine with many is the cosine with their sum: no pair is looked at.
    """
    cameras, place = np.unique(camera, return_inverse=True)
    belongs = (place[:, None] == np.arange(len(cameras))[None]) & described[:, None]
    sums = means @ (belongs.T.astype(np.float64) @ means).T
    itself = np.einsum("nd,nd->n", means, means)
    sums = sums - np.where(belongs, itself[:, None], 0.0) + settings.usual_likeness * _PRIOR_PAIRS
    others = belongs.sum(axis=0)[None] - belongs.astype(np.int64)
    usual = sums / (others + _PRIOR_PAIRS)
    members = np.maximum(belongs.sum(axis=0), 1)
    between = belongs.T.astype(np.float64) @ usual / members[:, None]
    between = np.where(between > 0, between, settings.usual_likeness)
    return place, usual, 0.5 * (between + between.T)


@dataclass(slots=True)
class Moments:
    """Mean and deviation of values seen so far, starting from a prior that counts as `pairs` values."""

    mean: float
    deviation: float
    pairs: float

    def learn(self, values: Floats) -> None:
        """Take in values; old ones fade once there are many, so that a new light is followed."""
        if not len(values):
            return
        kept = min(self.pairs, max(_MOST_PAIRS - len(values), 0.0))
        total = kept + len(values)
        square = (kept * (self.deviation**2 + self.mean**2) + float(np.square(values).sum())) / total
        self.mean = (kept * self.mean + float(values.sum())) / total
        self.deviation = max(float(np.sqrt(max(square - self.mean**2, 0.0))), _NARROWEST)
        self.pairs = total


@dataclass(slots=True)
class LooksModel:
    """What a likeness says, measured on this site: tracklets that one camera sees at once and apart are two people,
    tracklets of two cameras that keep to one place are one.

    version: how often it was measured; 0 holds the shipped defaults.
    """

    settings: GallerySettings
    same: Moments
    different: Moments
    version: int = 0

    @staticmethod
    def shipped(settings: GallerySettings) -> LooksModel:
        return LooksModel(
            settings,
            Moments(*settings.same_looks, _PRIOR_SAME),
            Moments(*settings.different_looks, _PRIOR_DIFFERENT),
        )

    def evidence(self, likeness: Floats) -> Floats:
        """Nats of likenesses of any shape; NaN stays NaN."""
        same, different = (self.same.mean, self.same.deviation), (self.different.mean, self.different.deviation)
        return gaussian_ratio(likeness, same, different, self.settings.looks_limit)

    def learn(self, likeness: Floats, same: Flags, different: Flags) -> bool:
        """Take in pairs that are certain without looks; whether anything was learnt."""
        known = np.isfinite(likeness)
        positives, negatives = likeness[known & same], likeness[known & different]
        if not len(positives) + len(negatives):
            return False
        self.same.learn(positives)
        self.different.learn(negatives)
        self.version += 1
        return True
