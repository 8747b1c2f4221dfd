"""Tracking of people within each camera, over all cameras by identity, and on the floor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.measures import Measure, Section, middle, not_measured
from retail_ray.evaluation.scene import Ints, Scene
from retail_ray.evaluation.track_boxes import TrackBoxes
from retail_ray.evaluation.tracking_metrics import ClipScore, pool, rows_by_frame, score_clip, score_ids

FLOOR_MATCH_M = 1.0
FLOOR_TICK_US = US_PER_S // 2
SCORES = ("hota", "det_a", "ass_a", "idf1", "mota", "recall", "precision", "id_switches")
# Numbers of boxes that stand under an identity already given in their frame; a prime, so that they mix.
_GHOSTS = 97
_DRAWS = 200


def per_camera(scene: Scene, rng: np.random.Generator) -> Section:
    """Every camera by itself, and all pooled with an interval over the cameras."""
    scored = {camera: score for camera in scene.cameras if (score := camera_score(scene, camera)) is not None}
    sections: dict[str, Section] = {
        camera: as_section([scored[camera]]) if camera in scored else _why_not(scene, camera)
        for camera in scene.cameras
    }
    if not scored:
        return {"all": {"hota": not_measured("no camera has frames with people in lake and truth")}}
    return {"all": as_section(list(scored.values()), rng)} | sections


def camera_score(scene: Scene, camera: str) -> ClipScore | None:
    """None where the camera was not analysed, or nobody was to be seen."""
    frames = np.flatnonzero(scene.frames.camera == scene.cameras.index(camera))
    truth = _required(scene).at(frames)
    if camera not in scene.analysed or not len(truth):
        return None
    found = scene.scored()
    return score_clip(truth, TrackBoxes(found.frame, found.tracklet, found.xyxy_px).at(frames), frames)


def across_cameras(scene: Scene) -> Section:
    """One clip of all cameras' frames, where a person keeps one number everywhere (multi-camera IDF1)."""
    truth, found = _required(scene), scene.scored()
    if not len(truth):
        return {"hota": not_measured("no camera has frames with people in lake and truth")}
    identity = distinct(found.frame, scene.identity[found.tracklet], found.confidence)
    result = TrackBoxes(found.frame, identity, found.xyxy_px)
    return as_section([score_clip(truth, result, np.arange(len(scene.frames)))])


def on_floor(scene: Scene) -> Section:
    """Mean position of each identity and half second against that of each person, a match within 1 m."""
    found, true = scene.scored(), scene.true
    located = np.isfinite(found.floor_xy_m).all(axis=1)
    if not located.any() or not true.required.any():
        return {"hota": not_measured("the lake has no floor positions: cameras without floor calibration")}
    required = true.frame[true.required]
    return floor_positions(
        (scene.frames.time_us[required], true.person[true.required], true.floor_xy_m[true.required]),
        (found.time_us[located], scene.identity[found.tracklet[located]], found.floor_xy_m[located]),
    )


def floor_positions(
    truth: tuple[Ints, Ints, NDArray[np.float64]], result: tuple[Ints, Ints, NDArray[np.float64]]
) -> Section:
    """Both sides as (N,) time_us, (N,) person or identity, (N, 2) metres; compared as `on_floor` does."""
    return as_section([_floor_score(_positions(*truth), _positions(*result))], of="people in half seconds")


def distinct(frame: Ints, identity: Ints, confidence: NDArray[np.float64]) -> Ints:
    """Identities that stand once in a frame: the surest box keeps a shared one, the others stay without any.

    Two boxes of one frame are two people, so at most one of them can be right.
    """
    order = np.lexsort((-confidence, identity, frame))
    repeated = np.zeros(len(frame), np.bool_)
    repeated[order[1:]] = (np.diff(frame[order]) == 0) & (np.diff(identity[order]) == 0)
    extra = np.flatnonzero(repeated)
    result = identity.copy()
    first = identity.max(initial=0) + 1
    for rows in rows_by_frame(frame[extra], np.unique(frame[extra])):
        at = extra[rows]
        # Neither a lost box nor a track of its own: a number that hardly meets the same person again.
        result[at] = first + (int(frame[at[0]]) * 31 + np.arange(len(at))) % max(_GHOSTS, len(at))
    return result


def as_section(clips: Sequence[ClipScore], rng: np.random.Generator | None = None, of: str = "true boxes") -> Section:
    """Pooled scores; with `rng` and several clips, intervals by drawing clips anew."""
    scores = pool(clips)
    intervals = {} if rng is None or len(clips) < 2 else _intervals(clips, rng)
    boxes = scores.truth_boxes
    return {
        name: Measure(float(getattr(scores, name)), boxes, of, *intervals.get(name, (None, None))) for name in SCORES
    }


def _intervals(clips: Sequence[ClipScore], rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    draws = np.sort(rng.integers(0, len(clips), (_DRAWS, len(clips))), axis=1)
    distinct_draws, row = np.unique(draws, axis=0, return_inverse=True)
    pooled = [pool([clips[i] for i in draw]) for draw in distinct_draws]
    rates = [name for name in SCORES if name != "id_switches"]
    return {name: middle(np.array([getattr(scores, name) for scores in pooled])[row.ravel()]) for name in rates}


def _why_not(scene: Scene, camera: str) -> Section:
    why = "nobody was to be seen" if camera in scene.analysed else "the lake has no analysed frame of this camera"
    return {"hota": not_measured(why)}


def _required(scene: Scene) -> TrackBoxes:
    true = scene.true
    return TrackBoxes(true.frame[true.required], true.person[true.required], true.xyxy_px[true.required])


def _positions(time_us: Ints, who: Ints, xy_m: NDArray[np.float64]) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """(tick, who, mean position) of each tick in which somebody is."""
    keys = np.stack([time_us // FLOOR_TICK_US, who], axis=1)
    unique, row, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    mean_m = np.stack([np.bincount(row.ravel(), xy_m[:, i], len(unique)) / count for i in (0, 1)], axis=1)
    return unique[:, 0], unique[:, 1], mean_m


def _floor_score(
    truth: tuple[Ints, Ints, NDArray[np.float64]], result: tuple[Ints, Ints, NDArray[np.float64]]
) -> ClipScore:
    ticks = np.union1d(truth[0], result[0])
    truth_ids, result_ids = (np.unique(side[1], return_inverse=True)[1].ravel() for side in (truth, result))
    of_truth, of_result, similarity = [], [], []
    for mine, theirs in zip(rows_by_frame(truth[0], ticks), rows_by_frame(result[0], ticks), strict=True):
        apart_m = np.linalg.norm(truth[2][mine][:, None] - result[2][theirs][None], axis=2)
        of_truth.append(truth_ids[mine])
        of_result.append(result_ids[theirs])
        similarity.append(np.clip(1 - apart_m / (2 * FLOOR_MATCH_M), 0, 1))
    return score_ids(of_truth, of_result, similarity)
