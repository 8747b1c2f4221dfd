"""Recorded video files: every frame's time is known before the first one is decoded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Gap
from retail_ray.video.decode import Place, Video, YuvFrame, upright_hw
from retail_ray.video.recording import Ledger, Schedule, SourceInfo


class FileSource:
    """A video file, read without loss; frames that cannot be decoded are told by `take_gaps`.

    A file cut off in the middle gives all frames before the cut, `info.truncated`, and a gap up to the end
    that its header declares. Raises SourceError where nothing can be decoded, and FrameSizeError after the
    last frame before the size changes.
    """

    def __init__(
        self, place: Place, start_us: int, analysis_fps: float, *, decoder_threads: int, exhaustive: bool = False
    ) -> None:
        """`exhaustive` decodes also what is not sampled; for comparison."""
        self._place = place
        self._threads = decoder_threads
        self._exhaustive = exhaustive
        self._closed = False
        self._gaps = Ledger()
        with self._open() as video:
            scan = video.scan()
        timeline = scan.timeline
        if len(timeline) == 0:
            raise place.error("holds no complete frame; it was probably cut off, record or copy it again")
        self._timeline = timeline
        end_us = start_us + timeline.end_us
        declared_us = end_us if scan.declared_s is None else start_us + round(scan.declared_s * US_PER_S)
        self._schedule = Schedule(
            start_us=start_us,
            end_us=end_us,
            declared_end_us=max(end_us, declared_us) if scan.truncated else end_us,
            elapsed_us=timeline.elapsed_us,
            elapsed_ticks=timeline.elapsed_ticks,
            time_base=timeline.time_base,
            analysis_fps=analysis_fps,
        )
        self.info = SourceInfo(
            kind="file",
            codec=scan.codec,
            native_hw=self._first_size(),
            native_fps=float(self._schedule.native_fps),
            start_us=start_us,
            end_us=end_us,
            declared_end_us=max(end_us, declared_us) if scan.truncated else end_us,
            frame_count=len(timeline),
            sampled_count=int(self._schedule.wanted.sum()),
            truncated=scan.truncated,
        )

    @property
    def native_hw(self) -> tuple[int, int]:
        return self.info.native_hw

    @property
    def frame_times_us(self) -> NDArray[np.int64]:
        """(S,) int64 event times of all sampled frames."""
        return self._schedule.sampled_us

    def expected_frames(self, from_us: int, until_us: int) -> int:
        """Sampled frames in [from_us, until_us); in pauses and behind a cut, as many as the rate promises."""
        return self._schedule.expected(from_us, until_us)

    def frames(self, resume_after_us: int | None = None) -> Iterator[YuvFrame]:
        wanted = self._schedule.wanted_after(resume_after_us)
        losses = _Losses(self._schedule, wanted, resume_after_us, self._gaps)
        with self._open() as video:
            decode = np.ones_like(wanted) if self._exhaustive else wanted
            for index, picture in video.decode(self._timeline, decode):
                if self._closed:
                    return
                self._place.check_size(index, upright_hw(picture), self.native_hw)
                if wanted[index]:
                    losses.give(index)
                    yield YuvFrame(index, int(self._schedule.time_us[index]), picture)
        losses.end()

    def take_gaps(self) -> list[Gap]:
        return self._gaps.take()

    def close(self) -> None:
        self._closed = True

    def _open(self) -> Video:
        return Video(self._place, decoder_threads=self._threads)

    def _first_size(self) -> tuple[int, int]:
        with self._open() as video:
            for _, picture in video.decode(self._timeline, np.ones(len(self._timeline), np.bool_)):
                return upright_hw(picture)
        raise self._place.error("no frame can be decoded; the file is damaged, record or copy it again")


class _Losses:
    """Books what was owed and did not come, up to each frame that did."""

    def __init__(
        self, schedule: Schedule, wanted: NDArray[np.bool_], resume_after_us: int | None, ledger: Ledger
    ) -> None:
        self._time_us = schedule.time_us
        self._owed = np.flatnonzero(wanted)
        self._holes = [h for h in schedule.holes if resume_after_us is None or h.to_us > resume_after_us]
        self._ledger = ledger

    def give(self, index: int) -> None:
        place = int(np.searchsorted(self._owed, index))
        self._book(place, int(self._time_us[index]))
        self._owed = self._owed[place + 1 :]

    def end(self) -> None:
        self._book(len(self._owed), None)

    def _book(self, lost: int, until_us: int | None) -> None:
        for time_us in self._time_us[self._owed[:lost]].tolist():
            self._ledger.add(Gap("corrupt", time_us, time_us + 1, 1))
        while self._holes and (until_us is None or self._holes[0].to_us <= until_us):
            self._ledger.add(self._holes.pop(0))
