"""A camera's calibration from people whom another one sees too: true worlds, thin ones, and unrelated ones."""

from __future__ import annotations

import numpy as np
import pytest

from retail_ray.core.errors import GeometryError
from retail_ray.core.floor_scale import visible_grid
from retail_ray.core.foot_tracks import FootTracks
from retail_ray.core.pose import look_at, rotation_of
from retail_ray.identity.overlap.estimate import Estimate, Reference, estimate
from retail_ray.identity.overlap.hypotheses import similarity
from retail_ray.identity.overlap.pinhole import Pinhole, from_homography, people_heights

HW = (720, 1280)
MIDDLE = np.array([639.5, 359.5])
FPS = 5


def camera(position: list[float], target: list[float], focal_px: float = 720.0, k1: float = 0.0) -> Pinhole:
    rotation, translation = look_at(np.array(position), np.array(target))
    return Pinhole(focal_px, MIDDLE, np.array([k1, 0, 0, 0, 0]), rotation, translation)


KNOWN = camera([0.0, 0.0, 2.8], [4.0, 4.0, 0.0], 700.0, -0.1)
WANTED = camera([8.0, 1.0, 2.6], [3.5, 4.5, 0.0], 760.0, -0.08)


def walks(people: int, seconds: float, seed: int, extent_m: float = 5.0) -> list[np.ndarray]:
    """Each person's (T, 2) way over the floor: from one spot to the next at walking pace."""
    rng, ways = np.random.default_rng(seed), []
    for _ in range(people):
        at, way = 1.5 + rng.random(2) * extent_m, []
        goal = 1.5 + rng.random(2) * extent_m
        for _ in range(int(seconds * FPS)):
            if np.hypot(*(goal - at)) < 0.3:
                goal = 1.5 + rng.random(2) * extent_m
            at = at + (goal - at) / np.hypot(*(goal - at)) * 1.1 / FPS
            way.append(at)
        ways.append(np.array(way))
    return ways


def seen(name: str, eye: Pinhole, ways: list[np.ndarray], seed: int, late_s: float = 0.0) -> FootTracks:
    """What a detector makes of them: noisy boxes of people 1.6 to 1.8 m tall, tracks cut every 20 s."""
    rng, parts, number = np.random.default_rng(seed), [], 0
    for way in ways:
        tall = rng.uniform(1.6, 1.8)
        foot = eye.project(np.column_stack([way, np.zeros(len(way))]))
        head = eye.project(np.column_stack([way, np.full(len(way), tall)]))
        time_us = (np.arange(len(way)) / FPS * 1e6).astype(np.int64) + round(late_s * 1e6)
        inside = (foot >= 0).all(axis=1) & (foot[:, 0] < HW[1]) & (foot[:, 1] < HW[0])
        inside &= np.abs(eye.calibration().to_floor(foot) - way).max(axis=1) < 0.01
        height = foot[:, 1] - head[:, 1]
        foot = foot + rng.normal(0, 0.02, foot.shape) * height[:, None]
        piece = number + np.arange(len(way)) // (20 * FPS)
        number = int(piece[-1]) + 1
        parts.append((piece[inside], time_us[inside], foot[inside], head[inside]))
    track, time_us, foot, head = (np.concatenate(column) for column in zip(*parts, strict=True))
    return FootTracks(name, track.astype(np.int64), time_us, foot, head, np.full(len(track), -1, np.int64))


def solved(ways: list[np.ndarray], late_s: float = 0.0, known: list[Pinhole] | None = None) -> Estimate:
    reference = Reference(seen("known", KNOWN, ways, 1), KNOWN.calibration(), HW)
    sights = seen("wanted", WANTED, ways, 2, late_s)
    return estimate(sights, HW, reference, known or [], lens_known=bool(known))


def error_m(found: Estimate) -> float:
    """Median over the floor in view within 10 m."""
    pixels = visible_grid(HW)
    floor = WANTED.calibration().to_floor(pixels)
    near = np.hypot(*(floor - WANTED.position_m[:2]).T) < 10
    return float(np.median(np.hypot(*(found.camera.calibration().to_floor(pixels[near]) - floor[near]).T)))


@pytest.mark.parametrize(("people", "seconds"), [(1, 90), (2, 60)])
def test_an_uncalibrated_camera(people: int, seconds: float) -> None:
    found = solved(walks(people, seconds, 5))
    assert error_m(found) < 0.25
    assert found.common_s > 15
    assert error_m(found) < 3 * found.error_m


def test_a_drifted_camera_is_repaired() -> None:
    drifted = WANTED.changed(np.array([0, 0, 0.08, -0.1, 0.04, 0.05, -0.05, 0.0]))
    before = drifted.calibration().to_floor(visible_grid(HW)[72:])
    true = WANTED.calibration().to_floor(visible_grid(HW)[72:])
    assert np.median(np.hypot(*(before - true).T)) > 0.4
    assert error_m(solved(walks(2, 60, 6), known=[drifted])) < 0.15


def test_a_clock_that_runs_late_is_noticed() -> None:
    found = solved(walks(2, 60, 7), late_s=0.3)
    assert found.offset_s == pytest.approx(-0.3, abs=0.11)
    assert error_m(found) < 0.25


def test_too_short_says_what_is_missing() -> None:
    with pytest.raises(GeometryError, match=r"'wanted' against 'known'.*common tracks"):
        solved(walks(1, 8, 8))


def test_people_who_stand_still_are_no_calibration() -> None:
    still = [np.tile([[3.0, 3.5]], (300, 1)), np.tile([[4.0, 3.0]], (300, 1))]
    with pytest.raises(GeometryError, match=r"missing are|walked|equally well"):
        solved(still)


def test_other_people_are_no_calibration() -> None:
    """Control: both cameras see walkers, never the same ones."""
    reference = Reference(seen("known", KNOWN, walks(2, 60, 9), 1), KNOWN.calibration(), HW)
    with pytest.raises(GeometryError):
        estimate(seen("wanted", WANTED, walks(2, 60, 10), 2), HW, reference)


def test_nobody_at_the_same_time_is_said() -> None:
    ways = walks(1, 30, 5)
    reference = Reference(seen("known", KNOWN, ways, 1), KNOWN.calibration(), HW)
    with pytest.raises(GeometryError, match="at no time did both see a person"):
        estimate(seen("wanted", WANTED, ways, 2, late_s=900), HW, reference)


def test_a_homography_tells_its_camera() -> None:
    plain = camera([1.0, 2.0, 3.0], [4.0, 5.0, 0.0])
    found = from_homography(np.linalg.inv(plain.calibration().pixel_to_floor), HW)
    assert found is not None
    assert found.focal_px == pytest.approx(plain.focal_px, rel=1e-6)
    assert np.allclose(found.position_m, plain.position_m, atol=1e-5)
    floor = np.array([[3.0, 4.0], [5.0, 6.0]])
    foot = found.project(np.column_stack([floor, np.zeros(2)]))
    head = found.project(np.column_stack([floor, np.full(2, 1.8)]))
    assert people_heights(found, foot, head) == pytest.approx([1.8, 1.8], abs=1e-6)


def test_a_moved_floor_frame_shows_the_same_picture() -> None:
    turn, scale, shift = 0.7, 1.2, np.array([3.0, -2.0])
    moved = WANTED.moved(scale, turn, shift)
    floor = np.array([[3.0, 4.0, 0.0], [2.0, 5.0, 1.0]])
    there = scale * floor @ rotation_of(np.array([0, 0, turn])).T + np.array([*shift, 0])
    assert np.allclose(moved.project(there), WANTED.project(floor))
    again = similarity(floor[:, :2], there[:, :2])
    assert again is not None
    assert np.allclose(again.apply(floor[:, :2]), there[:, :2])
