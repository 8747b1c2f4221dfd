"""What follows from the true happenings and the tracklets that saw them: crossings, stays in zones and in lanes.

A happening that no tracklet saw is in no table; what a tracklet saw only in part is censored. Facts name tracklets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.records import LineCrossing, TrackletRow, ZoneVisit
from retail_ray.core.retail_records import QueueOutcome, QueueVisit
from retail_ray.core.time import US_PER_S
from retail_ray.simulation.event_sightings import CameraTracklets

Columns = dict[str, NDArray[Any]]

_SIDE_US: Final = 400_000
_MIN_DWELL_US: Final = 5 * US_PER_S
_LOST_US: Final = 3 * US_PER_S
_NEVER_US: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Tracklets:
    """Tracklets of all cameras, as parallel arrays ordered by (person_id, first_us). camera: index into camera_ids."""

    camera_ids: tuple[str, ...]
    camera: NDArray[np.int64]
    local_id: NDArray[np.int64]
    person_id: NDArray[np.int64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    frames: NDArray[np.int64]
    mean_confidence: NDArray[np.float64]
    path_m: NDArray[np.float64]
    best_quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.camera)

    def name(self, place: int) -> tuple[str, int]:
        """(camera_id, local_id)."""
        return self.camera_ids[self.camera[place]], int(self.local_id[place])


def tracklets_of(
    by_camera: dict[str, CameraTracklets], before: Mapping[str, int], start_us: int, frame_us: int
) -> Tracklets:
    """Tracklets of all cameras with event times instead of ticks. before: local ids that each camera has given out."""
    parts = list(by_camera.values())
    camera = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    local_id = np.concatenate([before[name] + np.arange(1, len(part) + 1) for name, part in by_camera.items()])
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("person_id", "first_tick", "last_tick", "frames", "mean_confidence", "path_m", "best_quality")
    }
    first_us = start_us + columns.pop("first_tick").astype(np.int64) * frame_us
    last_us = start_us + columns.pop("last_tick").astype(np.int64) * frame_us
    columns["person_id"] = columns["person_id"].astype(np.int64)
    order = np.lexsort((local_id, camera, first_us, columns["person_id"]))
    return Tracklets(
        tuple(by_camera),
        camera[order],
        local_id[order],
        first_us=first_us[order],
        last_us=last_us[order],
        **{name: values[order] for name, values in columns.items()},
    )


def tracklet_rows(tracklets: Tracklets) -> list[TrackletRow]:
    return [
        TrackletRow(
            *tracklets.name(i),
            int(tracklets.first_us[i]),
            int(tracklets.last_us[i]),
            int(tracklets.frames[i]),
            float(tracklets.mean_confidence[i]),
            float(tracklets.path_m[i]),
            embedded_crops=int(min(10, 1 + tracklets.frames[i] // 10)),
            best_crop_quality=float(tracklets.best_quality[i]),
        )
        for i in range(len(tracklets))
    ]


def line_crossings(truth: Columns, line_cameras: dict[str, str], tracklets: Tracklets) -> list[LineCrossing]:
    """Crossings whose line's camera tracked the person on both sides of the line."""
    found = []
    for event, place in _seen(truth["person_id"], truth["time_us"] - _SIDE_US, truth["time_us"] + _SIDE_US, tracklets):
        line_id, time_us = str(truth["line_id"][event]), int(truth["time_us"][event])
        camera_id, local_id = tracklets.name(place)
        whole = tracklets.first_us[place] <= time_us - _SIDE_US and time_us + _SIDE_US <= tracklets.last_us[place]
        if whole and camera_id == line_cameras[line_id]:
            direction, turned_back = truth["direction"][event], bool(truth["turned_back"][event])
            found.append(LineCrossing(line_id, camera_id, local_id, time_us, direction, turned_back))
    return sorted(found, key=lambda row: (row.time_us, row.camera_id, row.local_id))


def zone_visits(truth: Columns, tracklets: Tracklets) -> list[ZoneVisit]:
    """One row per true stay and tracklet that saw at least 5 s of it."""
    found = []
    for event, place in _seen(truth["person_id"], truth["enter_us"], truth["exit_us"], tracklets):
        enter_us, exit_us = int(truth["enter_us"][event]), int(truth["exit_us"][event])
        first_us, last_us = int(tracklets.first_us[place]), int(tracklets.last_us[place])
        seen_from, seen_until = max(enter_us, first_us), min(exit_us, last_us)
        if seen_until - seen_from < _MIN_DWELL_US:
            continue
        cut = bool(truth["censored"][event]) or first_us > enter_us or last_us < exit_us
        observed_s = (seen_until - seen_from) / US_PER_S
        name = tracklets.name(place)
        found.append(ZoneVisit(str(truth["zone_id"][event]), *name, seen_from, seen_until, observed_s, 0.0, cut))
    return sorted(found, key=lambda row: (row.exit_us, row.camera_id, row.local_id, row.enter_us, row.zone_id))


def queue_visits(
    truth: Columns, tracklets: Tracklets, session_id: str, identity: NDArray[np.int64]
) -> list[QueueVisit]:
    """Stays in lanes whose beginning some tracklet saw; lost from sight for 3 s before the end: censored.

    identity: (T,) the identity of each tracklet; it is given where one tracklet alone did not see the whole stay.
    """
    leave_us = np.where(truth["leave_us"] >= 0, truth["leave_us"], _NEVER_US)
    watched: dict[int, list[int]] = {}
    for event, place in _seen(truth["person_id"], truth["join_us"], leave_us, tracklets):
        watched.setdefault(event, []).append(place)
    rows = []
    for event, places in watched.items():
        joined = [place for place in places if tracklets.first_us[place] <= truth["join_us"][event] + _LOST_US]
        if joined:
            last_us = int(tracklets.last_us[places].max())
            best = max(joined, key=lambda place: (int(tracklets.last_us[place]), -place))
            wait = _as_seen(truth, event, last_us, tracklets.name(best))
            alone = tracklets.last_us[best] >= wait.leave_us - _LOST_US
            rows.append(wait if alone else replace(wait, session_id=session_id, identity_id=int(identity[best])))
    return sorted(rows, key=lambda row: (row.leave_us, row.lane_id, row.join_us))


def _as_seen(truth: Columns, event: int, last_us: int, name: tuple[str, int]) -> QueueVisit:
    """A stay in a lane of somebody who was last seen at `last_us`, if not later than the end of the stay."""
    join_us, service_us, leave_us = (int(truth[column][event]) for column in ("join_us", "service_us", "leave_us"))
    outcome: QueueOutcome = "censored"
    if leave_us >= 0 and last_us >= leave_us - _LOST_US:
        outcome = truth["outcome"][event]
    end_us = leave_us if outcome != "censored" else max(join_us, min(last_us, leave_us if leave_us >= 0 else last_us))
    began_us = service_us if 0 <= service_us <= end_us else None
    return QueueVisit(str(truth["lane_id"][event]), *name, None, None, join_us, began_us, end_us, outcome)


def _seen(
    person_id: NDArray[Any], from_us: NDArray[Any], until_us: NDArray[Any], tracklets: Tracklets
) -> list[tuple[int, int]]:
    """(happening, place of a tracklet of its person that shares some of its time), in order of happenings."""
    low = np.searchsorted(tracklets.person_id, person_id, "left")
    counts = np.searchsorted(tracklets.person_id, person_id, "right") - low
    event = np.repeat(np.arange(len(person_id)), counts)
    place = np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    shared = (tracklets.first_us[place] <= until_us[event]) & (tracklets.last_us[place] >= from_us[event])
    return list(zip(event[shared].tolist(), place[shared].tolist(), strict=True))
