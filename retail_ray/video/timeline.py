"""The frames of a recording by presentation time, known from its packets before anything is decoded.

FFmpeg's packets come in decode order; frames are numbered in presentation order. Three cases are repaired:
packets without a presentation time take their decode time; a clock that jumps back at a keyframe (joined
recordings) goes on one frame after the latest time so far; equal times are set 1 us apart. Where most packets
have no time at all (raw elementary streams), frames are numbered as the decoder shows them, at the nominal rate.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S

Stamp = tuple[int | None, int | None, int | None]
_NONE = int(np.iinfo(np.int64).min)
HIDDEN = -1


@dataclass(frozen=True, slots=True)
class Timeline:
    """N frames of P packets.

    elapsed_ticks: (N,) int64 since the first frame, presentation order. time_base: seconds per tick.
    end_ticks: when the last frame ends.
    frame_of_packet: (P,) int64 presentation number of each packet in decode order, HIDDEN where it shows none.
    entry: (P,) bool, decoding may begin at this packet. stamps: (P, 3) int64 raw pts, dts, byte position.
    timed: false where the container has no times and only the decoder's order counts.
    """

    time_base: Fraction
    elapsed_ticks: NDArray[np.int64]
    end_ticks: int
    frame_of_packet: NDArray[np.int64]
    entry: NDArray[np.bool_]
    stamps: NDArray[np.int64]
    timed: bool

    def __len__(self) -> int:
        return len(self.elapsed_ticks)

    @property
    def elapsed_us(self) -> NDArray[np.int64]:
        """(N,) microseconds since the first frame, rounded, strictly increasing."""
        exact = self.elapsed_ticks.astype(object) * (2 * US_PER_S * self.time_base.numerator)
        rounded = ((exact + self.time_base.denominator) // (2 * self.time_base.denominator)).astype(np.int64)
        steps = np.arange(len(rounded), dtype=np.int64)
        return np.asarray(np.maximum.accumulate(rounded - steps) + steps)

    @property
    def end_us(self) -> int:
        """When the last frame ends, microseconds since the first one."""
        return max(round(self.end_ticks * self.time_base * US_PER_S), int(self.elapsed_us[-1]) + 1)

    def raw_time(self, packet: int) -> int | None:
        """Presentation time of a packet as its container has it, in ticks; None where it has none."""
        time = int(self.stamps[packet, 0])
        return None if time == _NONE else time

    def packet_at(self, stamp: Stamp) -> int | None:
        """Number of the entry packet with this raw time and position; None where it is unknown or not unique.

        Decode times are left out: after a seek, FFmpeg cannot always work them out.
        """
        same = (self.stamps == _raw(stamp)) | np.array([False, True, False])
        found = np.flatnonzero(self.entry & same.all(axis=1))
        return int(found[0]) if len(found) == 1 else None


def _raw(stamp: Stamp) -> list[int]:
    return [_NONE if value is None else value for value in stamp]


class TimelineBuilder:
    """Takes packets in decode order; `build` numbers their frames."""

    def __init__(self, time_base: Fraction, nominal_fps: Fraction) -> None:
        self._time_base = time_base
        self._nominal_fps = nominal_fps
        self._stamps = array("q")
        self._flags = array("b")

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, stamp: Stamp, *, entry: bool, shown: bool) -> None:
        self._stamps.extend(_raw(stamp))
        self._flags.append(entry | (shown << 1))

    def hide_last(self) -> None:
        """The last packet turned out to be cut off."""
        self._flags[-1] &= 1

    def build(self) -> Timeline:
        stamps = np.array(self._stamps, np.int64).reshape(-1, 3)
        flags = np.array(self._flags, np.int8)
        entry, shown = (flags & 1) > 0, (flags & 2) > 0
        entry[:1] = True
        frame_of_packet = np.full(len(flags), HIDDEN, np.int64)
        timed = 2 * np.count_nonzero(stamps[:, 0] != _NONE) >= len(stamps)
        if not timed:
            frame_of_packet[shown] = np.arange(np.count_nonzero(shown))
            ticks = np.arange(np.count_nonzero(shown), dtype=np.int64)
            return Timeline(1 / self._nominal_fps, ticks, len(ticks), frame_of_packet, entry, stamps, timed=False)
        step = max(1, round(1 / (self._nominal_fps * self._time_base)))
        times = _continuous(_filled(stamps, step), entry, shown, step)[shown]
        order = np.argsort(times, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        frame_of_packet[shown] = rank
        ticks = times[order] - times[order[:1]]
        end = int(ticks[-1]) + step if len(ticks) else 0
        return Timeline(self._time_base, ticks, end, frame_of_packet, entry, stamps, timed=True)


def _filled(stamps: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    times = stamps[:, 0].copy()
    for i in np.flatnonzero(times == _NONE):
        decode_time = stamps[i, 1]
        times[i] = decode_time if decode_time != _NONE else (times[i - 1] + step if i else 0)
    return times


def _continuous(
    times: NDArray[np.int64], entry: NDArray[np.bool_], shown: NDArray[np.bool_], step: int
) -> NDArray[np.int64]:
    """Move every group of pictures that begins before the end of the earlier ones behind them, and all that follow."""
    latest, offset = None, 0
    for start, stop in groups(entry):
        visible = times[start:stop][shown[start:stop]]
        if len(visible) == 0:
            continue
        first = int(visible.min()) + offset
        if latest is not None and first <= latest:
            offset += latest + step - first
        times[start:stop] += offset
        last = int(visible.max()) + offset
        latest = last if latest is None else max(latest, last)
    return times


def groups(entry: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open packet ranges between one entry point and the next."""
    starts = [int(start) for start in np.flatnonzero(entry)]
    return list(zip(starts, [*starts, len(entry)][1:], strict=True))


def packets_needed(timeline: Timeline, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(P,) true for the packets that must be decoded to show the `wanted` (N,) frames exactly.

    Behind the last wanted frame of a group of pictures nothing is needed until the next entry point. Frames
    shown before the keyframe that precedes them in decode order also refer to the whole group before.
    """
    if not timeline.timed or wanted.all():
        return np.full(len(timeline.entry), bool(wanted.any()))
    needed = np.zeros(len(timeline.entry), np.bool_)
    before = 0
    for start, stop in groups(timeline.entry):
        frames = timeline.frame_of_packet[start:stop]
        want = wanted[frames] & (frames != HIDDEN)
        if want.any():
            needed[start : start + int(np.flatnonzero(want)[-1]) + 1] = True
            if (want & (frames < frames[0])).any():
                needed[before:start] = True
        before = start
    return needed
