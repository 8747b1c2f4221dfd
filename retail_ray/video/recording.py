"""What recordings of all kinds have in common: sampling, coverage, and what was lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Gap
from retail_ray.video.sampling import exact_rate, sampled, slot_of

# A pause is this many times as long as nine of ten frames last at most.
HOLE_STEPS = 10


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source.

    kind: 'file', 'folder' or 'live'. native_fps: average without pauses, or a stream's claim.
    start_us: event time of the first frame. end_us: when the last readable frame ends; None while live.
    declared_end_us: the end as the file's header has it; later than end_us where the file is `truncated`.
    frame_count: frames at native rate; sampled_count: those that are analysed.
    """

    kind: str
    codec: str
    native_hw: tuple[int, int]
    native_fps: float | None
    start_us: int | None = None
    end_us: int | None = None
    declared_end_us: int | None = None
    frame_count: int | None = None
    sampled_count: int | None = None
    truncated: bool = False

    @property
    def duration_s(self) -> float | None:
        """Length of what can be read."""
        if self.start_us is None or self.end_us is None:
            return None
        return (self.end_us - self.start_us) / US_PER_S


class Schedule:
    """Which frames of a recording are analysed and when they were shown; nothing is decoded for it.

    time_us: (N,) int64 event time of every frame, strictly increasing. wanted: (N,) bool, sampled frames.
    native_fps: average without the pauses. holes: stretches without frames, in time order: 'missing' where the
    recording pauses (it stopped, or the container is damaged), 'truncated' up to the end that its header declares.
    """

    def __init__(
        self,
        *,
        start_us: int,
        end_us: int,
        declared_end_us: int,
        elapsed_us: NDArray[np.int64],
        elapsed_ticks: NDArray[np.int64],
        time_base: Fraction,
        analysis_fps: float,
    ) -> None:
        self.time_us = start_us + elapsed_us
        steps_us = np.diff(self.time_us, append=end_us)
        usual_us = int(np.quantile(steps_us, 0.9, method="higher"))
        pause = steps_us > HOLE_STEPS * usual_us
        # The pauses of a recording are no part of its rate.
        self.native_fps = Fraction(US_PER_S * len(steps_us), int(np.where(pause, usual_us, steps_us).sum()))
        fps = exact_rate(analysis_fps)
        self.wanted = sampled(elapsed_ticks, time_base, fps, self.native_fps)
        self._rate = min(fps, self.native_fps)
        last_us, next_us = self.time_us[pause], self.time_us[pause] + steps_us[pause]
        holes = [self._hole("missing", *span) for span in zip(last_us + usual_us, next_us, strict=True)]
        holes.append(self._hole("truncated", end_us, declared_end_us))
        self.holes = tuple(hole for hole in holes if hole.frames > 0)

    @property
    def sampled_us(self) -> NDArray[np.int64]:
        """(S,) int64 event times of all sampled frames."""
        return self.time_us[self.wanted]

    def wanted_after(self, resume_after_us: int | None) -> NDArray[np.bool_]:
        """(N,) the sampled frames that a run resumed after this event time still owes."""
        return self.wanted if resume_after_us is None else self.wanted & (self.time_us > resume_after_us)

    def expected(self, from_us: int, until_us: int) -> int:
        """Sampled frames in [from_us, until_us), and as many as the usual rate promises in the holes there."""
        low, high = np.searchsorted(self.sampled_us, [from_us, until_us])
        lost = sum(
            expected_at_rate(max(from_us, hole.from_us), min(until_us, hole.to_us), self._rate) for hole in self.holes
        )
        return max(0, int(high - low)) + lost

    def _hole(self, reason: str, from_us: int, to_us: int) -> Gap:
        return Gap(reason, int(from_us), int(to_us), expected_at_rate(int(from_us), int(to_us), self._rate))


def expected_at_rate(from_us: int, until_us: int, fps: Fraction) -> int:
    """Sampling slots that begin in [from_us, until_us), slots being counted from the epoch."""
    microsecond = Fraction(1, US_PER_S)
    return max(0, slot_of(until_us, microsecond, fps) - slot_of(from_us, microsecond, fps))


class Ledger:
    """Collects gaps until they are taken, also by another thread."""

    def __init__(self) -> None:
        self._gaps: list[Gap] = []
        self._lock = threading.Lock()

    def add(self, gap: Gap) -> None:
        with self._lock:
            self._gaps.append(gap)

    def take(self) -> list[Gap]:
        with self._lock:
            taken, self._gaps = self._gaps, []
        return taken
