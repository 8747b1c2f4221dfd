"""From a source's frames to chunks: one letterboxed array per inference request, cut at epoch borders."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox
from retail_ray.core.ports import DecodedFrame


@dataclass(frozen=True, slots=True)
class FrameChunk:
    """K consecutive sampled frames of one epoch. images: (K, H, W, 3) uint8, letterboxed."""

    epoch: int
    letterbox: Letterbox
    frames: tuple[DecodedFrame, ...]
    images: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class ChunkRule:
    """A chunk is full after `max_frames`, and at an epoch's end."""

    epoch_us: int
    max_frames: int

    def epoch_of(self, time_us: int) -> int:
        return time_us // self.epoch_us


def cut(
    frames: Iterator[DecodedFrame], rule: ChunkRule, letterbox_of: Callable[[tuple[int, int]], Letterbox]
) -> Iterator[FrameChunk]:
    """Group frames by the rule; pixels are scaled here, once. `letterbox_of` is asked with the first frame's size."""
    letterbox: Letterbox | None = None
    kept: list[DecodedFrame] = []
    images: list[NDArray[np.uint8]] = []

    def close() -> FrameChunk:
        assert letterbox is not None
        chunk = FrameChunk(rule.epoch_of(kept[0].time_us), letterbox, tuple(kept), np.stack(images))
        kept.clear()
        images.clear()
        return chunk

    try:
        for frame in frames:
            if kept and rule.epoch_of(frame.time_us) != rule.epoch_of(kept[0].time_us):
                yield close()
            letterbox = letterbox or letterbox_of(frame.native_hw)
            kept.append(frame)
            images.append(frame.letterboxed(letterbox))
            if len(kept) >= rule.max_frames:
                yield close()
    except OSError:
        # What was decoded before the video became unreadable is analysed before the error is told.
        if kept:
            yield close()
        raise
    if kept:
        yield close()


class ChunkReader:
    """Decodes ahead in a thread of its own; at most `ahead` chunks wait."""

    def __init__(self, chunks: Iterator[FrameChunk], ahead: int = 2) -> None:
        self._queue: queue.Queue[FrameChunk | BaseException | None] = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._head: FrameChunk | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._fill, args=(chunks,), name="chunk-reader", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return self._ended

    def peek(self, timeout_s: float | None = None) -> FrameChunk | None:
        """The next chunk without taking it; None at the end, or when none came in time (None: wait for it).

        An error of the source is raised after all chunks before it were taken.
        """
        if self._head is None and not self._ended:
            self._take_next(timeout_s)
        if self._head is None and self._error is not None:
            raise self._error
        return self._head

    def pop(self) -> FrameChunk:
        chunk = self.peek()
        if chunk is None:
            raise IndexError("no chunk is left")
        self._head = None
        return chunk

    def close(self) -> None:
        """Stop the thread; a frame being decoded is finished first."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(timeout=0.05)

    def _take_next(self, timeout_s: float | None) -> None:
        try:
            item = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return
        if isinstance(item, FrameChunk):
            self._head = item
            return
        self._ended, self._error = True, item

    def _fill(self, chunks: Iterator[FrameChunk]) -> None:
        last: BaseException | None = None
        try:
            for chunk in chunks:
                if not self._put(chunk):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            last = error
        self._put(last)

    def _put(self, item: FrameChunk | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False
