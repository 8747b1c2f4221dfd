"""What `retail-ray calibrate overlap` finds out, and whether calibrations are exchanged between cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retail_ray.calibrate import Result, camera_of, camera_section, native_size
from retail_ray.config import Camera, Site
from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.core.foot_tracks import FootTracks
from retail_ray.core.homography import FloorCalibration, rotation_from_quaternion
from retail_ray.identity.overlap.estimate import Reference, estimate
from retail_ray.identity.overlap.hypotheses import agreement
from retail_ray.identity.overlap.pinhole import Pinhole, from_homography
from retail_ray.identity.overlap.together import put_together, thinned, walking
from retail_ray.lake.foot_rows import read_foot_tracks

_CLEARLY_BETTER = 2.0
_LEAST_S = 15.0


def from_overlap(
    site: Site, lake: Path | None, camera_id: str, reference_id: str, *, anew: bool, size: str | None
) -> Result:
    """The camera's section from people whom the reference saw at the same times; GeometryError says what is missing."""
    camera, other = camera_of(site, camera_id), camera_of(site, reference_id)
    if camera_id == reference_id:
        raise ConfigError(f"camera '{camera_id}' cannot be its own reference; name another calibrated camera")
    if other.floor is None:
        raise ConfigError(f"camera '{reference_id}' has no floor calibration, so it cannot be the reference")
    root = Path(site.lake) if lake is None else lake
    hw, note = native_size(camera, size)
    reference_hw, _ = native_size(other)
    reference = Reference(
        read_foot_tracks(root, site.site, other.id), other.floor.calibration(reference_hw), reference_hw
    )
    sights = read_foot_tracks(root, site.site, camera.id)
    known = None if anew else known_camera(camera, hw)
    lens_known = known is not None and camera.floor is not None and camera.floor.camera is not None
    found = estimate(sights, hw, reference, [] if known is None else [known], lens_known=lens_known)
    notes = [
        f"{found.common_s:.0f} s of common tracks in {found.pairs} pairs, {found.rms_m:.2f} m apart; "
        f"they spread {found.along_m:.1f} x {found.across_m:.1f} m{note}",
        f"expected error {found.error_m:.2f} m, 90 % of the floor in view within {found.error_p90_m:.2f} m",
    ]
    if abs(found.offset_s) >= 0.1:
        notes.append(f"the clock of '{camera_id}' seems {-found.offset_s:+.1f} s ahead of that of '{reference_id}'")
    facts = {
        "camera": camera_id,
        "reference": reference_id,
        "common_s": found.common_s,
        "pairs": found.pairs,
        "rms_m": found.rms_m,
        "expected_error_m": found.error_m,
        "expected_error_p90_m": found.error_p90_m,
        "clock_offset_s": found.offset_s,
    }
    c = found.camera
    return Result(camera_section(c.focal_px, c.principal_px, c.distortion, (c.rotation, c.translation_m)), facts, notes)


def known_camera(camera: Camera, hw: tuple[int, int]) -> Pinhole | None:
    """The camera as the site file has it; None where it has none, or its homography tells no focal length."""
    if camera.floor is None:
        return None
    model = camera.floor.camera
    if model is None:
        inverse = np.asarray(np.linalg.inv(camera.floor.calibration(hw).pixel_to_floor), np.float64)
        return from_homography(inverse, hw)
    return Pinhole(
        float(np.sqrt(model.focal_px[0] * model.focal_px[1])),
        np.array(model.principal_px),
        np.array([*model.distortion, 0.0][:5]),
        rotation_from_quaternion(np.array(model.rotation_wxyz)),
        np.array(model.translation_m),
    )


def exchanged(site: Site, lake: Path) -> dict[str, str]:
    """A warning for each camera whose people agree clearly better with the others under another one's calibration."""
    calibrated = {c.id: c.floor.calibration(native_size(c)[0]) for c in site.cameras if c.floor is not None}
    tracks = {}
    for camera_id in calibrated:
        try:
            tracks[camera_id] = thinned(read_foot_tracks(lake, site.site, camera_id))
        except LakeError as error:
            if "no tracked people" not in str(error):
                raise
    warnings = {}
    for camera_id, sights in tracks.items():
        scores = {
            name: _agreement(camera_id, sights, candidate, calibrated, tracks) for name, candidate in calibrated.items()
        }
        best = max(scores, key=lambda name: scores[name])
        if best != camera_id and scores[best] > max(_CLEARLY_BETTER * scores[camera_id], _LEAST_S):
            warnings[camera_id] = (
                f"its people agree with those of the other cameras for {scores[best]:.0f} s under the calibration of "
                f"camera '{best}', for {scores[camera_id]:.0f} s under its own: are they exchanged?"
            )
    return warnings


def _agreement(
    camera_id: str,
    sights: FootTracks,
    candidate: FloorCalibration,
    calibrated: dict[str, FloorCalibration],
    tracks: dict[str, FootTracks],
) -> float:
    total = 0.0
    for name, others in tracks.items():
        if name == camera_id or calibrated[name] is candidate:
            continue
        own = walking(sights, others, 1_000)
        together = put_together(own, others, calibrated[name].to_floor(others.foot_px))
        total += agreement(candidate.to_floor(own.foot_px), together, np.zeros(len(own), np.bool_), 0.5)
    return total
