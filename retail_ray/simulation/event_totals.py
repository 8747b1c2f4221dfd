"""Rows per minute and hour that sum up the facts: occupancy, lanes, heat, coverage and alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.records import CoverageRow, LineCrossing, OccupancyRow
from retail_ray.core.retail_records import Alert, HeatCell, QueueMinute, QueueVisit, Severity
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, minute_of
from retail_ray.simulation.event_settings import AlertRules


def occupancy(crossings: Iterable[LineCrossing], minutes_us: Sequence[int]) -> list[OccupancyRow]:
    """One row per minute of one business day; nobody is counted below zero: what is missing is added for good."""
    ways: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in crossings:
        if not row.turned_back:
            ways[minute_of(row.time_us)][row.direction == "out"] += 1
    entries = exits = correction = 0
    rows = []
    for minute_us in minutes_us:
        came, left = ways.get(minute_us, (0, 0))
        entries, exits = entries + came, exits + left
        correction = max(correction, exits - entries)
        rows.append(OccupancyRow(minute_us, entries, exits, entries - exits + correction))
    return rows


def queue_minutes(
    visits: Sequence[QueueVisit], lane_ids: Sequence[str], minutes_us: Sequence[int]
) -> list[QueueMinute]:
    """One row per lane and minute, minutes without anybody too; ordered by minute and lane."""
    by_lane = {lane_id: _Lane() for lane_id in lane_ids}
    for visit in visits:
        by_lane[visit.lane_id].add(visit)
    return [by_lane[lane_id].row(lane_id, minute_us) for minute_us in minutes_us for lane_id in lane_ids]


class _Lane:
    """Sums of one lane by minute."""

    def __init__(self) -> None:
        self._waiting_us: dict[int, int] = defaultdict(int)
        self._longest_us: dict[int, int] = {}
        self._steps: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._waits_us: dict[int, list[int]] = defaultdict(list)
        self._joined: dict[int, int] = defaultdict(int)
        self._served: dict[int, int] = defaultdict(int)
        self._abandoned: dict[int, int] = defaultdict(int)
        self._length = 0

    def add(self, visit: QueueVisit) -> None:
        end_us = visit.leave_us if visit.service_us is None else visit.service_us
        self._joined[minute_of(visit.join_us)] += 1
        self._steps[minute_of(visit.join_us)].append((visit.join_us, 1))
        self._steps[minute_of(end_us)].append((end_us, -1))
        for minute_us in range(minute_of(visit.join_us), end_us + 1, US_PER_MINUTE):
            until_us = min(end_us, minute_us + US_PER_MINUTE)
            self._waiting_us[minute_us] += max(0, until_us - max(visit.join_us, minute_us))
            self._longest_us[minute_us] = max(until_us - visit.join_us, self._longest_us.get(minute_us, 0))
        if visit.service_us is not None:
            self._waits_us[minute_of(visit.service_us)].append(visit.service_us - visit.join_us)
        if visit.outcome == "served":
            self._served[minute_of(visit.leave_us)] += 1
        if visit.outcome == "abandoned":
            self._abandoned[minute_of(visit.leave_us)] += 1

    def row(self, lane_id: str, minute_us: int) -> QueueMinute:
        """The minutes must be asked for in order."""
        most = self._longest_queue(minute_us)
        waits_us = self._waits_us.get(minute_us)
        served = self._served.get(minute_us, 0)
        return QueueMinute(
            lane_id,
            minute_us,
            queue_length_mean=self._waiting_us.get(minute_us, 0) / US_PER_MINUTE,
            queue_length_max=most,
            joined=self._joined.get(minute_us, 0),
            served=served,
            abandoned=self._abandoned.get(minute_us, 0),
            avg_wait_s=float(np.mean(waits_us)) / US_PER_S if waits_us else np.nan,
            max_wait_s=self._longest_us[minute_us] / US_PER_S if minute_us in self._longest_us else np.nan,
            service_rate_per_h=60.0 * served,
        )

    def _longest_queue(self, minute_us: int) -> int:
        """Judged after all that happens at one instant: who leaves at the minute's start is not in it."""
        lengths = {minute_us: self._length}
        for at_us, step in sorted(self._steps.get(minute_us, ())):
            self._length += step
            lengths[at_us] = self._length
        return max(lengths.values())


def coverage(
    camera_id: str,
    minutes_us: Sequence[int],
    frames_per_minute: NDArray[np.int64],
    analysed: NDArray[np.int64],
    dropped: NDArray[np.int64],
) -> list[CoverageRow]:
    """Rows of one camera; frames_per_minute, analysed, dropped: (M,) of each minute."""
    rows = []
    for row in zip(minutes_us, frames_per_minute.tolist(), analysed.tolist(), dropped.tolist(), strict=True):
        minute_us, expected, processed, lost = row
        reason = "behind" if lost else "missing" if processed < expected - 1 else ""
        rows.append(CoverageRow(camera_id, minute_us, expected, processed, lost, reason))
    return rows


def heat_cells(
    hour_us: int,
    tick: NDArray[np.int32],
    who: NDArray[np.int64],
    cell_xy: NDArray[np.int32],
    *,
    cell_m: float,
    frame_s: float,
) -> list[HeatCell]:
    """Presence of one hour from the tracked boxes of all cameras: (N,) tick and identity of each, (N, 2) its cell.

    An identity in n boxes at one tick gives each of their cells 1 / n of a frame's time.
    """
    if not len(tick):
        return []
    _, who = np.unique(who, return_inverse=True)
    moment = (tick.astype(np.int64) - int(tick.min())) * (int(who.max()) + 1) + who
    weight = frame_s / np.bincount(moment)[moment]
    low = cell_xy.min(axis=0)
    size = cell_xy.max(axis=0) - low + 1
    place = (cell_xy[:, 1] - low[1]).astype(np.int64) * size[0] + (cell_xy[:, 0] - low[0])
    presence = np.bincount(place, weight, size[0] * size[1])
    people = np.bincount(np.unique(place * (int(who.max()) + 1) + who) // (int(who.max()) + 1), minlength=len(presence))
    return [
        HeatCell(
            hour_us,
            (low[0] + cell % size[0]) * cell_m,
            (low[1] + cell // size[0]) * cell_m,
            cell_m,
            float(np.round(presence[cell], 6)),
            int(people[cell]),
        )
        for cell in np.flatnonzero(people).tolist()
    ]


@dataclass(frozen=True, slots=True)
class _Rule:
    rule_id: str
    severity: Severity
    limits: tuple[float, float]
    what: str


def alerts(
    queues: Sequence[QueueMinute], inside: Sequence[OccupancyRow], frames: Sequence[CoverageRow], rules: AlertRules
) -> list[Alert]:
    """Changes of state of all rules over the minutes of one day, in order of time."""
    long_queue = _Rule("queue-long", "warning", rules.queue_length, "{value:.1f} people wait in {about}")
    long_wait = _Rule("wait-long", "warning", rules.wait_s, "somebody has waited {value:.0f} s in {about}")
    full = _Rule("shop-full", "info", rules.occupancy, "{value:.0f} people are in the shop")
    silent = _Rule("camera-silent", "critical", rules.camera_frames_missing, "{value:.0%} of frames miss in {about}")
    found: list[Alert] = []
    for lane_id in dict.fromkeys(row.lane_id for row in queues):
        rows = [row for row in queues if row.lane_id == lane_id]
        lengths = [(row.minute_us, row.queue_length_mean) for row in rows]
        waits = [(row.minute_us, float(np.nan_to_num(row.max_wait_s))) for row in rows]
        found += _changes(long_queue, lengths, rules.for_minutes, lane_id=lane_id)
        found += _changes(long_wait, waits, rules.for_minutes, lane_id=lane_id)
    found += _changes(full, [(row.minute_us, float(row.inside)) for row in inside], rules.for_minutes)
    for camera_id in dict.fromkeys(row.camera_id for row in frames):
        missing = [
            (row.minute_us, 1 - row.processed_frames / max(row.expected_frames, 1))
            for row in frames
            if row.camera_id == camera_id
        ]
        found += _changes(silent, missing, rules.for_minutes, camera_id=camera_id)
    return sorted(found, key=lambda alert: (alert.time_us, alert.dedup_key))


def _changes(
    rule: _Rule,
    minutes: Sequence[tuple[int, float]],
    for_minutes: int,
    lane_id: str | None = None,
    camera_id: str | None = None,
) -> Iterator[Alert]:
    """A change comes at the end of the minute that completes `for_minutes`."""
    raise_at, clear_below = rule.limits
    about = lane_id or camera_id or ""
    is_open, lasted = False, 0
    for minute_us, value in minutes:
        turns = value < clear_below if is_open else value >= raise_at
        lasted = lasted + 1 if turns else 0
        if lasted < for_minutes:
            continue
        is_open, lasted = not is_open, 0
        yield Alert(
            minute_us + US_PER_MINUTE,
            rule.rule_id,
            "raised" if is_open else "cleared",
            rule.severity,
            f"{rule.rule_id}:{about}" if about else rule.rule_id,
            None,
            lane_id,
            camera_id,
            float(np.round(value, 3)),
            raise_at if is_open else clear_below,
            rule.what.format(value=value, about=about),
        )
