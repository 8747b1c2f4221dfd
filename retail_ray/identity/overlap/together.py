"""Who could be whom: sights of one camera beside another camera's tracks at the same instants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.foot_tracks import FootTracks
from retail_ray.core.homography import Points

STEP_US: Final = 200_000
LONGEST_GAP_US: Final = 500_000

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Together:
    """P possible pairs. row: (P,) sight of the camera to calibrate. track: (P,) track of the reference.

    floor_m: (P, 2) where the reference saw that track then. pair: (P,) number of the pair of tracks. rows: sights in
    all, `step_s` seconds apart within a track. same_person: (P,) whether an identity links the two.
    """

    row: Rows
    track: Rows
    floor_m: Points
    pair: Rows
    pairs: int
    rows: int
    step_s: float
    same_person: NDArray[np.bool_]


def thinned(tracks: FootTracks, step_us: int = STEP_US) -> FootTracks:
    """At most one sight of a track in `step_us`."""
    slot = tracks.time_us // step_us
    first = np.ones(len(tracks), np.bool_)
    first[1:] = (np.diff(slot) != 0) | (np.diff(tracks.track) != 0)
    return tracks[first]


def walking(sights: FootTracks, others: FootTracks, most: int) -> FootTracks:
    """At most `most` sights: whole tracks that walk far while few others are about, because those tell the most."""
    starts = np.flatnonzero(np.r_[True, np.diff(sights.track) != 0])
    ends = np.r_[starts[1:], len(sights)]
    other_s = np.sort(others.time_us)
    ranked = []
    for start, end in zip(starts, ends, strict=True):
        way_px = float(np.hypot(*np.ptp(sights.foot_px[start:end], axis=0)))
        first, last = np.searchsorted(other_s, [sights.time_us[start], sights.time_us[end - 1] + 1])
        if last > first and end - start > 2:
            crowd = (last - first) / (end - start)
            ranked.append((-way_px / (1 + crowd), start, end))
    kept = np.zeros(len(sights), np.bool_)
    for _, start, end in sorted(ranked):
        if kept.sum() + end - start <= most:
            kept[start:end] = True
    return sights[kept]


def put_together(sights: FootTracks, reference: FootTracks, floor_m: Points, offset_us: int = 0) -> Together:
    """Every sight beside every reference track seen then; `offset_us` is added to the times of the sights.

    floor_m: (M, 2) metres of the reference's own sights. Positions in between are interpolated.
    """
    parts: list[tuple[Rows, Rows, Points]] = []
    times = sights.time_us + offset_us
    starts = np.flatnonzero(np.r_[True, np.diff(reference.track) != 0])
    by_time = np.argsort(times, kind="stable")
    for start, end in zip(starts, np.r_[starts[1:], len(reference)], strict=True):
        own, place = reference.time_us[start:end], floor_m[start:end]
        low, high = np.searchsorted(times[by_time], [own[0], own[-1] + 1])
        rows = by_time[low:high]
        if end - start < 2 or not len(rows):
            continue
        after = np.clip(np.searchsorted(own, times[rows]), 1, len(own) - 1)
        gap = own[after] - own[after - 1]
        share = (times[rows] - own[after - 1]) / np.maximum(gap, 1)
        between = place[after - 1] + share[:, None] * (place[after] - place[after - 1])
        kept = (gap <= LONGEST_GAP_US) & np.isfinite(between).all(axis=1)
        parts.append((rows[kept], np.full(int(kept.sum()), reference.track[start]), between[kept]))
    if not parts:
        parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))]
    row, track, floor = (np.concatenate(column) for column in zip(*parts, strict=True))
    _, pair = np.unique(np.stack([sights.track[row], track], axis=1), axis=0, return_inverse=True)
    person = {int(t): int(p) for t, p in zip(reference.track, reference.person, strict=True)}
    theirs = np.array([person[int(t)] for t in track], np.int64)
    same = (theirs >= 0) & (theirs == sights.person[row])
    pairs = int(pair.max()) + 1 if len(pair) else 0
    return Together(row, track, floor, pair.reshape(-1), pairs, len(sights), STEP_US / 1e6, same)
