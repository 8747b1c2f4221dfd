"""The whole estimate: first guesses, the best of them refined, clock difference, expected error, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import GeometryError
from retail_ray.core.floor_scale import visible_grid
from retail_ray.core.foot_tracks import FootTracks
from retail_ray.core.homography import FloorCalibration, Lens, Points
from retail_ray.identity.overlap.hypotheses import GATE_M, Similarity, agreement, similarities
from retail_ray.identity.overlap.pinhole import TALL_M, Pinhole, from_homography, guesses_from_people, people_heights
from retail_ray.identity.overlap.refine import Freedom, Matches, fit, match, refine
from retail_ray.identity.overlap.together import Together, put_together, thinned, walking

LEAST_COMMON_S: Final = 15.0
LEAST_ALONG_M: Final = 1.0
LEAST_ACROSS_M: Final = 0.35
LEAST_SHARE: Final = 0.05
FARTHEST_M: Final = 12.0
MOST_SIGHTS: Final = 1_500
_REFINED: Final = 6
_LOOKED_INTO: Final = 80
_RIVAL_SHARE: Final = 0.85
_RIVAL_M: Final = 1.0
_BLOCKS: Final = 8
FOOT_BIAS: Final = 0.06


@dataclass(frozen=True, slots=True)
class Reference:
    """The calibrated camera. native_hw: its picture."""

    sights: FootTracks
    calibration: FloorCalibration
    native_hw: tuple[int, int]

    def upright(self) -> Reference:
        """Only sights under which the person is as tall as people are: others' feet are hidden."""
        floor_to_pixel = np.asarray(np.linalg.inv(self.calibration.pixel_to_floor), np.float64)
        camera = from_homography(floor_to_pixel, self.native_hw)
        if camera is None:
            return self
        return Reference(_upright(self.sights, camera, self.calibration.lens), self.calibration, self.native_hw)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A camera's calibration from people seen by another one.

    common_s: seconds of matched sights, several people counted each. pairs: matched pairs of tracks. share: of the
    sights that the reference should have seen, those that matched. rms_m: distance of the matched places.
    error_m, error_p90_m: expected error over the visible floor within FARTHEST_M, median and 90th
    percentile. along_m, across_m: standard deviations of the matched places. offset_s: what the clock of the
    calibrated camera is ahead of the other's.
    """

    camera: Pinhole
    common_s: float
    pairs: int
    share: float
    rms_m: float
    error_m: float
    error_p90_m: float
    along_m: float
    across_m: float
    offset_s: float


def estimate(
    sights: FootTracks, native_hw: tuple[int, int], reference: Reference, known: Sequence[Pinhole] = (), *,
    lens_known: bool = False
) -> Estimate:  # fmt: skip
    """Calibrate the camera of `sights` from `reference`.

    known: the camera as it was once calibrated, where it was; lens_known: its focal length and lens are trusted.
    GeometryError says what is missing where the common tracks do not carry a calibration.
    """
    other = thinned(reference.upright().sights, 100_000)
    own = walking(thinned(sights), other, MOST_SIGHTS)
    floor_m = reference.calibration.to_floor(other.foot_px)
    together = put_together(own, other, floor_m)
    place = f"camera '{sights.camera_id}' against '{reference.sights.camera_id}'"
    if not len(together.row):
        raise GeometryError(f"{place}: at no time did both see a person; {_needs()}")
    freedom = Freedom.known_lens() if lens_known else Freedom.unknown_camera()
    starts = [*known, *([] if lens_known else guesses_from_people(own.foot_px, own.head_px, native_hw))]
    candidates = _candidates(own, together, reference, starts)
    refined = [_scored(camera, own, together, reference, freedom) for camera in candidates]
    if not refined:
        raise GeometryError(f"{place}: nobody walked {LEAST_ALONG_M:g} m in both views at once; {_needs()}")
    refined.sort(key=lambda found: -found[0])
    _refuse_rival(refined, place, native_hw)
    _, camera, _ = refined[0]
    camera, matches, offset_s, together = _in_time(camera, own, other, floor_m, freedom)
    fitted = _Fitted(camera, matches, together, offset_s)
    result = _described(fitted, own, reference, native_hw, freedom)
    _refuse_thin(result, place)
    return result


def _candidates(own: FootTracks, together: Together, reference: Reference, starts: Sequence[Pinhole]) -> list[Pinhole]:
    """The guesses that agree best, different from each other, each start's own place first."""
    scored: list[tuple[float, Pinhole]] = []
    nothing_owed = np.zeros(len(own), np.bool_)
    for start in starts:
        own_m = start.calibration().to_floor(own.foot_px)
        tried = [Similarity(1.0, 0.0, np.zeros(2)), *similarities(own_m, together)]
        for turn in tried:
            score = agreement(turn.apply(own_m), together, nothing_owed)
            scored.append((score, start.moved(turn.scale, turn.turn_rad, turn.shift_m)))
    scored.sort(key=lambda found: -found[0])
    weighed = []
    for _, camera in scored[:_LOOKED_INTO]:
        mapped = camera.calibration().to_floor(own.foot_px)
        weighed.append((agreement(mapped, together, _seen_by(reference, mapped)), camera))
    chosen: list[Pinhole] = []
    for score, camera in sorted(weighed, key=lambda found: -found[0]):
        if score > 0 and all(_differ(camera, other) for other in chosen):
            chosen.append(camera)
        if len(chosen) == _REFINED:
            break
    return chosen


def _upright(sights: FootTracks, camera: Pinhole, lens: Lens | None = None) -> FootTracks:
    """Sights of people about as tall as people are, seen by `camera`; `lens` where it has one to undo first."""
    foot = sights.foot_px if lens is None else lens.undistort(sights.foot_px)
    head = sights.head_px if lens is None else lens.undistort(sights.head_px)
    tall = people_heights(camera, foot, head)
    return sights[np.asarray((tall > TALL_M[0]) & (tall < TALL_M[1]))]


def _differ(a: Pinhole, b: Pinhole) -> bool:
    turned = np.arccos(np.clip((np.trace(a.rotation @ b.rotation.T) - 1) / 2, -1, 1))
    return bool(np.hypot(*(a.position_m - b.position_m)[:2]) > 0.7 or turned > 0.25)


def _scored(
    camera: Pinhole, own: FootTracks, together: Together, reference: Reference, freedom: Freedom
) -> tuple[float, Pinhole, Matches]:
    fitted, matches = refine(camera, own, together, freedom)
    mapped = fitted.calibration().to_floor(own.foot_px)
    return agreement(mapped, together, _seen_by(reference, mapped), 0.6 * GATE_M), fitted, matches


def _seen_by(reference: Reference, floor_m: Points) -> NDArray[np.bool_]:
    """(N,) whether the reference's picture shows these places."""
    height, width = reference.native_hw
    finite = np.asarray(np.isfinite(floor_m).all(axis=1))
    safe = np.where(finite[:, None], floor_m, 0.0)
    px = reference.calibration.to_pixels(safe)
    back = reference.calibration.to_floor(px)
    shown = (px[:, 0] >= 0) & (px[:, 0] < width) & (px[:, 1] >= 0) & (px[:, 1] < height)
    return np.asarray(finite & shown & (np.hypot(*(back - safe).T) < 0.1))


def _refuse_rival(refined: list[tuple[float, Pinhole, Matches]], place: str, native_hw: tuple[int, int]) -> None:
    """Two cameras that explain the tracks equally well and lie far apart are no answer."""
    best, camera, _ = refined[0]
    pixels = visible_grid(native_hw)
    floor = camera.calibration().to_floor(pixels)
    for score, other, _ in refined[1:]:
        apart = np.hypot(*(other.calibration().to_floor(pixels) - floor).T)
        if score >= _RIVAL_SHARE * best and np.nanmedian(apart) > _RIVAL_M:
            raise GeometryError(
                f"{place}: two calibrations {np.nanmedian(apart):.1f} m apart explain the common tracks equally well; "
                f"more people walking through both views decide it. {_needs()}"
            )


def _in_time(
    camera: Pinhole, own: FootTracks, other: FootTracks, floor_m: Points, freedom: Freedom
) -> tuple[Pinhole, Matches, float, Together]:
    """Try clock differences, keep the one under which the matched places lie nearest, and fit once more."""

    offsets = np.arange(-0.5, 0.51, 0.1)
    costs = [_cost_at(camera, own, other, floor_m, float(offset)) for offset in offsets]
    best = float(offsets[int(np.argmin(costs))])
    together = put_together(own, other, floor_m, round(best * 1e6))
    fitted, matches = camera, match(camera, own, together, 0.7)
    for _ in range(2):
        if len(matches) >= 8:
            fitted = fit(fitted, own, matches, freedom)
            matches = match(fitted, own, together, 0.6)
    return fitted, matches, best, together


def _cost_at(camera: Pinhole, own: FootTracks, other: FootTracks, floor_m: Points, offset_s: float) -> float:
    together = put_together(own, other, floor_m, round(offset_s * 1e6))
    return _cost(camera, own, match(camera, own, together, 0.7))


def _cost(camera: Pinhole, own: FootTracks, matches: Matches) -> float:
    if not len(matches):
        return float("inf")
    return float(np.mean(np.minimum(_apart(camera, own, matches), 0.6) ** 2) / len(matches) ** 0.25)


def _apart(camera: Pinhole, own: FootTracks, matches: Matches) -> NDArray[np.float64]:
    return np.asarray(np.hypot(*(camera.calibration().to_floor(own.foot_px[matches.row]) - matches.floor_m).T))


@dataclass(frozen=True, slots=True)
class _Fitted:
    camera: Pinhole
    matches: Matches
    together: Together
    offset_s: float


def _described(
    found: _Fitted, own: FootTracks, reference: Reference, native_hw: tuple[int, int], freedom: Freedom
) -> Estimate:
    camera, matches = found.camera, found.matches
    apart = _apart(camera, own, matches) if len(matches) else np.zeros(1)
    expected = _seen_by(reference, camera.calibration().to_floor(own.foot_px))
    expected[matches.row] = True
    spread = np.zeros(2)
    if len(matches) > 2:
        spread = np.sqrt(np.clip(np.linalg.eigvalsh(np.cov(matches.floor_m.T)), 0, None))
    errors = _expected_errors(camera, own, matches, native_hw, freedom)
    return Estimate(
        camera=camera,
        common_s=len(matches) * found.together.step_s,
        pairs=len(np.unique(matches.pair)),
        share=len(matches) / max(int(expected.sum()), 1),
        rms_m=float(np.sqrt(np.nanmean(apart**2))),
        error_m=float(np.median(errors)),
        error_p90_m=float(np.percentile(errors, 90)),
        along_m=float(spread[1]),
        across_m=float(spread[0]),
        offset_s=found.offset_s,
    )


def _expected_errors(
    camera: Pinhole, own: FootTracks, matches: Matches, native_hw: tuple[int, int], freedom: Freedom
) -> NDArray[np.float64]:
    """(G,) metres on a grid over the floor in view.

    By chance: delete-one-block jackknife over time. By habit: boxes of both cameras that end too low by FOOT_BIAS of
    their height, which no number of people averages out.
    """
    pixels = visible_grid(native_hw)
    floor = camera.calibration().to_floor(pixels)
    pixels = pixels[np.hypot(*(floor - camera.position_m[:2]).T) < FARTHEST_M]
    if len(matches) < 2 * _BLOCKS or not len(pixels):
        return np.array([99.0])
    order = np.argsort(own.time_us[matches.row], kind="stable")
    block = np.empty(len(matches), np.int64)
    block[order] = np.arange(len(matches)) * _BLOCKS // len(matches)
    places = []
    for number in range(_BLOCKS):
        kept = block != number
        part = Matches(matches.row[kept], matches.floor_m[kept], matches.pair[kept])
        places.append(fit(camera, own, part, freedom).calibration().to_floor(pixels))
    stacked = np.array(places)
    middle = stacked.mean(axis=0)
    variance = (_BLOCKS - 1) / _BLOCKS * ((stacked - middle) ** 2).sum(axis=2).sum(axis=0)
    lower = own.foot_px + np.stack([np.zeros(len(own)), FOOT_BIAS * own.height_px], axis=1)
    biased = fit(camera, replace(own, foot_px=lower), matches, freedom).calibration().to_floor(pixels)
    variance += ((biased - middle) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(np.where(np.isfinite(variance), variance, 99.0**2)))


def _refuse_thin(found: Estimate, place: str) -> None:
    missing = []
    if found.common_s < LEAST_COMMON_S:
        missing.append(f"{LEAST_COMMON_S - found.common_s:.0f} s of common tracks ({found.common_s:.0f} s are there)")
    if found.along_m < LEAST_ALONG_M or found.across_m < LEAST_ACROSS_M:
        missing.append(
            f"common tracks that spread over the floor: {found.along_m:.1f} x {found.across_m:.1f} m are there, "
            f"{LEAST_ALONG_M:g} x {LEAST_ACROSS_M:g} m are needed"
        )
    if found.share < LEAST_SHARE:
        missing.append(
            f"agreement: {found.share:.0%} of the sights match one of the reference, {LEAST_SHARE:.0%} are needed; "
            "do both look at the same floor?"
        )
    if missing:
        raise GeometryError(f"{place}: no calibration; missing are {'; '.join(missing)}")


def _needs() -> str:
    return f"needed are {LEAST_COMMON_S:g} s of people walking where both cameras look"
