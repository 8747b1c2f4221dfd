"""Whether a camera still looks where it was calibrated: background corners now against remembered ones.

Only described corners are kept, never pixels. One look gives a verdict; only several equal verdicts in a row change
the state, so that people in the way, light, flicker and compression raise nothing.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Boxes
from retail_ray.core.types import Image
from retail_ray.core.view import DESCRIPTOR_BYTES, ViewChange, ViewFeatures, ViewState
from retail_ray.video.view_features import (
    LEAST_INLIERS,
    find_features,
    match_views,
    mean_shift_px,
    static_features,
)

DARK_LEVEL: Final = 24.0


@dataclass(frozen=True, slots=True)
class ViewRule:
    """learn_looks: pictures that make the reference. looks_in_a_row: equal verdicts before the state changes.

    moved_share, back_share: shift as a share of the picture's width above which a camera has moved, and below which
    it is back. least_share: of the expected corners that must be recognised for the view to count as seen.
    """

    learn_looks: int = 3
    looks_in_a_row: int = 3
    moved_share: float = 0.005
    back_share: float = 0.0025
    least_share: float = 0.15


@dataclass(frozen=True, slots=True)
class Look:
    """One verdict; 'unsure' says nothing. shift_px is NaN where the view was not recognised."""

    verdict: str
    shift_px: float
    features: int
    to_now: NDArray[np.float64] | None


_UNSURE: Final = Look("unsure", float("nan"), 0, None)


class FixedView:
    """One camera's watch. All it remembers is in `state`."""

    def __init__(
        self, native_hw: tuple[int, int], reference: ViewFeatures | None = None, rule: ViewRule | None = None
    ) -> None:
        self.native_hw, self._rule = native_hw, rule or ViewRule()
        self.reference = reference
        self.shown: ViewState = "learning" if reference is None else "unmoved"
        self._learning: list[ViewFeatures] = []
        self._verdicts: list[str] = []
        self._shifts_px: list[float] = []

    def look(self, image: Image, scale: float, people_px: Boxes, time_us: int) -> ViewChange | None:
        """One picture, (H, W, 3) uint8 RGB, `scale` of its pixels per native one; the change of state it completes.

        people_px: (N, 4) native boxes of people in it. `reference` is set once enough pictures were seen.
        """
        now = find_features(image, scale, people_px)
        if self.reference is None:
            return self._learn(now, scale, time_us)
        look = self._verdict(self.reference, now, image, scale, people_px)
        return self._vote(look, time_us)

    def state(self) -> bytes:
        """The same bytes for the same watch, also after `restore`."""
        words = json.dumps([self.shown, self._verdicts, self._shifts_px])
        kept = [(f.descriptors.tobytes(), f.points_px.tobytes()) for f in self._learning]
        reference = self.reference
        known = None if reference is None else (reference.descriptors.tobytes(), reference.points_px.tobytes())
        return pickle.dumps((words, kept, known))

    def restore(self, state: bytes) -> None:
        words, kept, known = pickle.loads(state)
        self.shown, self._verdicts, self._shifts_px = json.loads(words)
        self._learning = [_features(*parts) for parts in kept]
        self.reference = None if known is None else _features(*known)

    def _learn(self, now: ViewFeatures, scale: float, time_us: int) -> ViewChange | None:
        if len(now) < 2 * LEAST_INLIERS:
            return None
        self._learning.append(now)
        if len(self._learning) < self._rule.learn_looks:
            return None
        static = static_features(self._learning[0], self._learning[1:], scale, self.native_hw)
        if len(static) < 2 * LEAST_INLIERS:
            self._learning.pop(0)
            return None
        self._learning, self.reference = [], static
        return self._become("unmoved", 0.0, len(static), None, time_us)

    def _verdict(
        self, reference: ViewFeatures, now: ViewFeatures, image: Image, scale: float, people_px: Boxes
    ) -> Look:
        match = match_views(reference, now, people_px, scale, self.native_hw)
        if match.expected < 2 * LEAST_INLIERS:
            return _UNSURE
        if match.to_now is None or match.inliers < self._rule.least_share * match.expected:
            return self._unrecognised(now, image, match.expected)
        shift_px, width_px = mean_shift_px(match.to_now, self.native_hw), self.native_hw[1]
        limit = self._rule.back_share if self.shown == "moved" else self._rule.moved_share
        verdict = "moved" if shift_px > limit * width_px else "unmoved"
        return Look(verdict, shift_px, match.inliers, match.to_now)

    @staticmethod
    def _unrecognised(now: ViewFeatures, image: Image, expected: int) -> Look:
        """Few corners at all: dark or blocked. As many as ever, but others: the camera looks elsewhere."""
        if len(now) >= max(2 * LEAST_INLIERS, expected // 2):
            return Look("moved", float("nan"), len(now), None)
        dark = float(np.percentile(image[::4, ::4], 90)) < 2 * DARK_LEVEL and float(image.mean()) < DARK_LEVEL
        return Look("dark" if dark else "blocked", float("nan"), len(now), None)

    def _vote(self, look: Look, time_us: int) -> ViewChange | None:
        if look.verdict == "unsure":
            return None
        keep = self._rule.looks_in_a_row
        self._verdicts = [*self._verdicts, look.verdict][-keep:]
        self._shifts_px = [*self._shifts_px, look.shift_px][-keep:]
        if len(self._verdicts) < keep or set(self._verdicts) != {look.verdict} or look.verdict == self.shown:
            return None
        return self._become(_state(look.verdict), _median(self._shifts_px), look.features, look.to_now, time_us)

    def _become(
        self, after: ViewState, shift_px: float, features: int, to_now: NDArray[np.float64] | None, time_us: int
    ) -> ViewChange:
        before, self.shown = self.shown, after
        return ViewChange(time_us, before, after, shift_px, features, to_now)


def _state(verdict: str) -> ViewState:
    states: dict[str, ViewState] = {"unmoved": "unmoved", "moved": "moved", "blocked": "blocked", "dark": "dark"}
    return states[verdict]


def _median(shifts_px: Sequence[float]) -> float:
    known = [shift for shift in shifts_px if np.isfinite(shift)]
    return float(np.median(known)) if known else float("nan")


def _features(descriptors: bytes, points: bytes) -> ViewFeatures:
    return ViewFeatures(
        np.frombuffer(descriptors, np.uint8).reshape(-1, DESCRIPTOR_BYTES),
        np.frombuffer(points, np.float32).reshape(-1, 2),
    )
