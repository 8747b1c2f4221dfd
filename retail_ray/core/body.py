"""What the box of a standing person says: a floor point by its lower edge, one by its upper, and a body height.

The silhouette of a body is no line. Seen from above, its lowest point is the toe of the foot nearest to the camera and
its highest the back of the crown; both lie a little off the axis. The two offsets and the noise were measured on the
simulated stores' bodies, whose gait and shoes are those of average people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core import boxes
from retail_ray.core.upright import Floats, UprightView

# The nearest toe stands so much nearer to the camera than the body's axis, the crown's edge so much farther.
TOE_M, CROWN_M = 0.18, 0.06
# Standard deviations: of an edge as a share of the box's height, of one that is only guessed, of the axis by gait,
# and of the height by posture.
EDGE_SHARE, GUESSED_SHARE, MIN_EDGE_PX = 0.02, 0.25, 1.5
GAIT_M, POSTURE_M = 0.07, 0.04
# The plane through the heads of people of whom nothing is known.
ADULT_M, ADULT_SIGMA_M = 1.70, 0.09
FRAME_MARGIN_PX = 2.0


@dataclass(frozen=True, slots=True)
class BodyEvidence:
    """What N boxes say, each value NaN where a box does not say it.

    foot_xy_m: (N, 2) floor point if the lower edge is at the feet. foot_cov_m2: (N, 2, 2).
    head_xy_m: (N, 2) floor point of a person of ADULT_M by the upper edge. head_cov_m2: (N, 2, 2), at a given height.
    per_m: (N, 2) shift of head_xy_m per metre of height. height_m, height_sigma_m: (N,) the implied body height.
    """

    foot_xy_m: Floats
    foot_cov_m2: Floats
    head_xy_m: Floats
    head_cov_m2: Floats
    per_m: Floats
    height_m: Floats
    height_sigma_m: Floats

    def by_head(self, height_m: Floats, sigma_m: Floats) -> tuple[Floats, Floats]:
        """(N, 2) floor points and (N, 2, 2) covariances of people of heights (N,), known to `sigma_m` (N,)."""
        spread = self.per_m * sigma_m[:, None]
        xy_m = self.head_xy_m + (height_m - ADULT_M)[:, None] * self.per_m
        return xy_m, self.head_cov_m2 + spread[:, :, None] * spread[:, None, :]


def body_evidence(view: UprightView, xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> BodyEvidence:
    """Read (N, 4) boxes of native pixels. A box cut above by the frame says nothing by its upper edge."""
    guessed, box = boxes.feet_cut_off(xyxy_px, native_hw, FRAME_MARGIN_PX), np.asarray(xyxy_px, np.float64)
    has_head = box[:, 1] > FRAME_MARGIN_PX
    # Where both ends are cut the feet are where the box's width puts them.
    box[:, 3] = np.where(guessed & ~has_head, boxes.standing_feet(xyxy_px)[:, 1], box[:, 3])
    foot_px, head_px, upright = view.body_ends(box)
    has_head &= upright
    n, height_px = len(box), box[:, 3] - box[:, 1]
    share = np.concatenate(
        [np.where(upright & (has_head | ~guessed), EDGE_SHARE, GUESSED_SHARE), np.full(n, EDGE_SHARE)]
    )
    sigma_px = np.maximum(np.tile(height_px, 2) * share, MIN_EDGE_PX)
    # Both ends at once: feet on the floor, heads on the plane of an adult's height.
    ends = view.on_plane(np.concatenate([foot_px, head_px]), np.repeat([0.0, ADULT_M], n))
    covariances = ends.covariance(sigma_px[:, None].repeat(2, axis=1), np.zeros(2 * n)) + np.eye(2) * GAIT_M**2
    feet, heads, foot_cov_m2, head_cov_m2 = ends[:n], ends[n:], covariances[:n], covariances[n:]
    outward = view.outward(np.where(np.isfinite(feet.xy_m), feet.xy_m, heads.xy_m))
    foot_xy_m = feet.xy_m + TOE_M * outward
    height_m = view.height_m(foot_xy_m + CROWN_M * outward, head_px)
    radial_m2 = np.einsum("ni,nij,nj->n", outward, foot_cov_m2 + head_cov_m2, outward)
    steepness = np.maximum((heads.per_m**2).sum(axis=1), 1e-6)
    return BodyEvidence(
        foot_xy_m,
        foot_cov_m2,
        np.where(has_head[:, None], heads.xy_m - CROWN_M * outward, np.nan),
        head_cov_m2,
        heads.per_m,
        np.where(has_head, height_m, np.nan),
        np.sqrt(radial_m2 / steepness + POSTURE_M**2),
    )
