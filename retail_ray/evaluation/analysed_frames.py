"""Which frames of the clips a run analysed, and that lake and truth speak of the same clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.time import US_PER_S, from_us
from retail_ray.lake.scored_rows import ScoredRows
from retail_ray.lake.truth import Truth

Ints = NDArray[np.int64]

STAMP_TOLERANCE_US = US_PER_S // 10
# A frame this little before its sampling slot belongs to it: containers round presentation times.
_ROUNDING_US = 1000


@dataclass(frozen=True, slots=True)
class Frames:
    """Analysed frames of all cameras. camera: (F,) int64, place in `Scene.cameras`; index: (F,) frame of the clip."""

    camera: Ints
    index: Ints
    time_us: Ints
    stamp_us: Ints

    def __len__(self) -> int:
        return len(self.index)


def analysed_frames(truth: Truth, rows: ScoredRows, cameras: tuple[str, ...]) -> tuple[tuple[str, ...], Frames]:
    """The cameras with analysed frames, and those frames; DataError where lake and truth are of different clips."""
    _require_same_cameras(truth, rows, cameras)
    analysed = tuple(camera for camera in cameras if _was_analysed(rows, camera))
    parts = [_of_camera(truth, rows, cameras, camera) for camera in analysed]
    columns = (np.concatenate([np.zeros(0, np.int64), *(part[i] for part in parts)]) for i in range(4))
    return analysed, Frames(*columns)


def rows_of_frames(camera_id: NDArray[Any], index: NDArray[Any], cameras: tuple[str, ...], frames: Frames) -> Ints:
    """(N,) int64 row of Frames for each (camera, frame number), -1 where it was not analysed."""
    place = np.zeros(len(camera_id), np.int64)
    for number, camera in enumerate(cameras):
        place[camera_id == camera] = number
    widest = 1 + max(frames.index.max(initial=0), index.max(initial=0))
    keys, wanted = frames.camera * widest + frames.index, place * widest + index.astype(np.int64)
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], wanted), max(0, len(keys) - 1))
    row = order[at] if len(keys) else np.full(len(wanted), -1)
    known = (keys[row] == wanted) & (index >= 0) if len(keys) else np.zeros(len(wanted), np.bool_)
    return np.asarray(np.where(known, row, -1), np.int64)


def _require_same_cameras(truth: Truth, rows: ScoredRows, cameras: tuple[str, ...]) -> None:
    if not cameras:
        return
    seen = {camera for name in ("detections", "coverage") for camera in _column(rows, name, "camera_id").tolist()}
    foreign = sorted(seen - set(cameras))
    if foreign:
        raise DataError(
            f"{rows.root}: camera '{foreign[0]}' is in the lake, but the truth of site '{truth.of.site_id}' (layout "
            f"'{truth.of.layout}', seed {truth.of.seed}) knows only {', '.join(cameras)}: give the truth of these clips"
        )


def _column(rows: ScoredRows, table: str, name: str) -> NDArray[Any]:
    columns = rows.tables.get(table)
    return np.zeros(0) if columns is None else columns[name]


def _was_analysed(rows: ScoredRows, camera: str) -> bool:
    coverage = rows.tables.get("coverage")
    if coverage is not None and coverage["processed_frames"][coverage["camera_id"] == camera].sum() > 0:
        return True
    return bool((_column(rows, "detections", "camera_id") == camera).any())


def _of_camera(truth: Truth, rows: ScoredRows, cameras: tuple[str, ...], camera: str) -> tuple[Ints, ...]:
    """One frame per sampling slot: the one that has boxes in the lake, else the slot's first."""
    table = truth.tables["frames"]
    mine = (table["camera_id"] == camera) & (table["frame_index"] >= 0)
    index, time_us, stamp_us = (table[name][mine].astype(np.int64) for name in ("frame_index", "time_us", "stamp_us"))
    order = np.argsort(index)
    index, time_us, stamp_us = index[order], time_us[order], stamp_us[order]
    in_lake = _frames_in_lake(rows, camera, index, stamp_us, truth)
    slot = _slots(stamp_us, _analysis_fps(rows, camera))
    # Within a slot the frame that is in the lake comes first.
    order = np.lexsort((index, ~in_lake, slot))
    chosen = order[np.r_[True, np.diff(slot[order]) > 0]] if len(order) else order
    chosen = np.union1d(chosen, np.flatnonzero(in_lake))
    place = np.full(len(chosen), cameras.index(camera), np.int64)
    return place, index[chosen], time_us[chosen], stamp_us[chosen]


def _frames_in_lake(rows: ScoredRows, camera: str, index: Ints, stamp_us: Ints, truth: Truth) -> NDArray[np.bool_]:
    """(F,) which frames of the truth have boxes in the lake; DataError where number and time do not fit together."""
    of_camera = _column(rows, "detections", "camera_id") == camera
    found, first = np.unique(_column(rows, "detections", "frame_index")[of_camera].astype(np.int64), return_index=True)
    time_us = _column(rows, "detections", "time_us")[of_camera].astype(np.int64)[first]
    place = np.minimum(np.searchsorted(index, found), max(0, len(index) - 1))
    known = index[place] == found if len(index) else np.zeros(len(found), np.bool_)
    off_us = np.abs(time_us - stamp_us[place]) if len(index) else time_us
    wrong = np.flatnonzero(~known | (off_us > STAMP_TOLERANCE_US))
    if len(wrong):
        at = wrong[0]
        theirs = f"{from_us(int(stamp_us[place[at]]))}" if known[at] else "not there"
        raise DataError(
            f"{rows.root}: camera '{camera}', frame {found[at]}: the lake says {from_us(int(time_us[at]))}, the truth "
            f"of site '{truth.of.site_id}' (seed {truth.of.seed}) says {theirs}: they belong to different clips"
        )
    mask = np.zeros(len(index), np.bool_)
    mask[place] = True
    return mask


def _slots(stamp_us: Ints, fps: float | None) -> Ints:
    """Sampling slot of each frame; without a known rate every frame has its own."""
    if fps is None or not len(stamp_us):
        return np.arange(len(stamp_us))
    elapsed_us = stamp_us - stamp_us[0] + _ROUNDING_US
    return np.asarray(np.floor(elapsed_us * fps / US_PER_S), np.int64)


def _analysis_fps(rows: ScoredRows, camera: str) -> float | None:
    cameras = [] if rows.settings is None else rows.settings["cameras"]
    return next((float(entry["analysis_fps"]) for entry in cameras if entry["id"] == camera), None)
