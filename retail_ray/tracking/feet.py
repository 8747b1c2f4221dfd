"""Where the people of one frame stand: by their feet where these are in sight, by their heads where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core import boxes
from retail_ray.core.body import BodyEvidence, body_evidence
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.records import FOOT_SOURCES
from retail_ray.core.types import Masks, Tracks
from retail_ray.core.upright import Floats, UprightView, upright_view
from retail_ray.tracking.sight import SightMap, cells
from retail_ray.tracking.stature import Stature, StatureBook

BOX, MASK, ESTIMATED = (FOOT_SOURCES.index(name) for name in ("box", "mask", "estimated"))
# How many times likelier than not the lower edge is at the feet where the frame ends, or somebody nearer covers it.
AT_FRAME_END, BEHIND_SOMEBODY = 0.03, 0.3
# A frame stands for at most so long.
LONGEST_FRAME_S = 0.5
# Standard deviation of a foot point as a share of the box height, where the camera's vertical is unknown.
FOOT_SIGMA_SHARE: Final = 0.03
ESTIMATED_SIGMA_SHARE: Final = 0.25
MIN_FOOT_SIGMA_PX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Feet:
    """Of the N tracks of a frame. foot_px: (N, 2) float32 native pixels, where the floor point shows (it may lie
    outside the frame). foot_source: (N,) int8, index into FOOT_SOURCES. floor_xy_m: (N, 2) float64, the middle
    of the body, NaN where unknown. floor_cov_m2: (N, 2, 2) float64. edge_px, edge_xy_m: the lower end of what is seen,
    in the picture and as if it were on the floor: worse as a place, and moving on at one pace, which counting needs.
    """

    foot_px: NDArray[np.float32]
    foot_source: NDArray[np.int8]
    floor_xy_m: Floats
    floor_cov_m2: Floats
    edge_px: NDArray[np.float32]
    edge_xy_m: Floats


class FootMemory:
    """What one camera has learnt: of its people while their tracklets are open, of its picture for good."""

    def __init__(self) -> None:
        self.statures, self.sight = StatureBook(), SightMap()

    def forget(self, local_ids: Iterable[int]) -> None:
        """These tracklets have ended."""
        self.statures.forget(local_ids)

    def state(self) -> dict[str, Any]:
        """Plain numbers only."""
        return {"statures": self.statures.state(), "sight": self.sight.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises DataError when the state was written by another version."""
        self.statures.restore(state["statures"])
        self.sight.restore(state["sight"])


class FootFinder:
    """One calibrated or uncalibrated camera. What it learns is in `memory`, which the caller keeps."""

    def __init__(self, calibration: FloorCalibration | None, native_hw: tuple[int, int], memory: FootMemory) -> None:
        self.calibration, self._native_hw, self._memory = calibration, native_hw, memory
        self._view = None if calibration is None else upright_view(calibration, native_hw)

    def find(self, tracks: Sequence[Tracks], masks: Sequence[Masks | None], times_us: Sequence[int]) -> list[Feet]:
        """The frames of a chunk, in order, in one go; `masks` are those of the tracks, None off key frames."""
        lower = [self._by_lower_edge(of.xyxy_px, cut_out) for of, cut_out in zip(tracks, masks, strict=True)]
        if self._view is None:
            return lower
        ends = np.cumsum([0, *(len(of) for of in tracks)])
        rows = [slice(*pair) for pair in pairwise(ends.tolist())]
        box = np.concatenate([of.xyxy_px for of in tracks])
        source = np.full(len(box), BOX, np.int8)
        cut_off = boxes.feet_cut_off(box, self._native_hw)
        covered = np.concatenate([boxes.feet_covered(of.xyxy_px) for of in tracks])
        for of, cut_out in zip(rows, masks, strict=True):
            if cut_out is not None:
                usable = ~cut_off[of] & (cut_out.area_px > 0) & (cut_out.foot_px[:, 1] > box[of, 1])
                source[of][usable], box[of, 3][usable] = MASK, cut_out.foot_px[usable, 1]
        evidence = body_evidence(self._view, box, self._native_hw)
        odds = np.where(cut_off, AT_FRAME_END, np.where(covered, BEHIND_SOMEBODY, 1.0))
        cell = cells(boxes.foot_points(box), self._native_hw)
        looks = [self._look(frame, evidence, odds, cell) for frame in zip(tracks, times_us, rows, strict=True)]
        in_sight, floor_xy_m, floor_cov_m2 = weighed(evidence, Stature.of_all(looks))
        guessed = (in_sight < 0.5) | (cut_off & np.isnan(evidence.head_xy_m[:, 0]))
        foot_px = self._shown(self._view, floor_xy_m, box)
        source = np.where(guessed, ESTIMATED, source).astype(np.int8)
        return [
            Feet(foot_px[of], source[of], floor_xy_m[of], floor_cov_m2[of], edge.edge_px, edge.edge_xy_m)
            for of, edge in zip(rows, lower, strict=True)
        ]

    def _look(
        self, frame: tuple[Tracks, int, slice], evidence: BodyEvidence, odds: Floats, cell: NDArray[np.intp]
    ) -> Stature:
        """What is believed of the people of one frame, which are `rows` of the others; remembers it."""
        (tracks, time_us, rows), sight = frame, self._memory.sight
        stature = self._memory.statures.look(
            tracks.local_id.tolist(),
            time_us,
            (evidence.height_m[rows], evidence.height_sigma_m[rows]),
            odds[rows] * sight.odds(cell[rows]),
            evidence.head_xy_m[rows],
        )
        # Other people and the frame's end say nothing about the place.
        spent_s = np.where(odds[rows] == 1.0, np.minimum(stature.since_s, LONGEST_FRAME_S), 0.0)
        sight.learn(cell[rows], spent_s * stature.adult, spent_s * (1 - stature.in_sight))
        return stature

    def _shown(self, view: UprightView, floor_xy_m: Floats, box: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels of floor points; where a lens model does not reach, or there is no point, the end of the body."""
        assert self.calibration is not None
        known = view.in_picture(floor_xy_m)
        shown = boxes.standing_feet(box)
        shown[known] = self.calibration.to_pixels(floor_xy_m[known])
        return shown

    def _by_lower_edge(self, box: NDArray[np.float32], masks: Masks | None) -> Feet:
        """Without a vertical: the lower end of box or mask, and of cut boxes where standing people would end."""
        cut_off = boxes.feet_cut_off(box, self._native_hw)
        foot_px = np.where(cut_off[:, None], boxes.standing_feet(box), boxes.foot_points(box))
        source = np.where(cut_off, ESTIMATED, BOX).astype(np.int8)
        if masks is not None:
            usable = ~cut_off & (masks.area_px > 0)
            foot_px[usable], source[usable] = masks.foot_px[usable], MASK
        if self.calibration is None:
            nowhere = np.full((len(box), 2), np.nan)
            return Feet(foot_px, source, nowhere, np.full((len(box), 2, 2), np.nan), foot_px, nowhere)
        share = np.where(cut_off, ESTIMATED_SIGMA_SHARE, FOOT_SIGMA_SHARE)
        sigma_px = np.maximum((box[:, 3] - box[:, 1]) * share, MIN_FOOT_SIGMA_PX)
        floor_xy_m = self.calibration.to_floor(foot_px)
        return Feet(foot_px, source, floor_xy_m, self.calibration.covariance(foot_px, sigma_px), foot_px, floor_xy_m)


def weighed(evidence: BodyEvidence, stature: Stature) -> tuple[Floats, Floats, Floats]:
    """(N,) chance of feet in sight, (N, 2) floor points and (N, 2, 2) covariances.

    Feet in sight: lower and upper edge together, by precision. Feet hidden: the upper edge alone. The answer has the
    mean and the covariance of the mixture of both, so it slides from one to the other as the chance does.
    """
    foot_xy_m, foot_cov_m2 = evidence.foot_xy_m, evidence.foot_cov_m2
    has_foot, has_head = np.isfinite(foot_xy_m[:, 0]), np.isfinite(evidence.head_xy_m[:, 0])
    chance = np.where(has_head, np.where(has_foot, stature.in_sight, 0.0), 1.0)
    seen_xy_m, seen_cov_m2 = foot_xy_m.copy(), foot_cov_m2.copy()
    both = has_foot & has_head
    xy_m, cov_m2 = evidence.by_head(stature.height_m[0], stature.sigma_m[0])
    gain = foot_cov_m2[both] @ np.linalg.inv(foot_cov_m2[both] + cov_m2[both])
    seen_xy_m[both] += (gain @ (xy_m - foot_xy_m)[both][:, :, None])[:, :, 0]
    seen_cov_m2[both] -= gain @ foot_cov_m2[both]
    hidden_xy_m, hidden_cov_m2 = evidence.by_head(stature.height_m[1], stature.sigma_m[1])
    # One side alone where the other says nothing.
    w = chance[:, None]
    seen_xy_m, hidden_xy_m = np.where(w > 0, seen_xy_m, hidden_xy_m), np.where(w < 1, hidden_xy_m, seen_xy_m)
    ww = w[:, :, None]
    seen_cov_m2, hidden_cov_m2 = (
        np.where(ww > 0, seen_cov_m2, hidden_cov_m2),
        np.where(ww < 1, hidden_cov_m2, seen_cov_m2),
    )
    apart = seen_xy_m - hidden_xy_m
    spread = (ww * (1 - ww)) * apart[:, :, None] * apart[:, None, :]
    return chance, w * seen_xy_m + (1 - w) * hidden_xy_m, ww * seen_cov_m2 + (1 - ww) * hidden_cov_m2 + spread
