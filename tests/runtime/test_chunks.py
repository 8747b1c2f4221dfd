"""Chunks: nothing lost or mixed at epoch borders, errors told after the frames before them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.boxes import Letterbox
from retail_ray.core.errors import SourceError
from retail_ray.core.types import Image
from retail_ray.runtime.chunks import ChunkReader, ChunkRule, cut


@dataclass(frozen=True)
class Picture:
    """A frame whose grey value is its index."""

    index: int
    time_us: int
    native_hw: tuple[int, int] = (4, 8)

    def native(self) -> Image:
        return np.full((*self.native_hw, 3), self.index % 256, np.uint8)

    def letterboxed(self, letterbox: Letterbox) -> Image:
        return np.full((*letterbox.model_hw, 3), self.index % 256, np.uint8)


def letterbox_of(native_hw: tuple[int, int]) -> Letterbox:
    return Letterbox(native_hw, (32, 32))


def pictures(times_us: Sequence[int], fail_after: bool = False) -> Iterator[Picture]:
    yield from (Picture(index, time_us) for index, time_us in enumerate(times_us))
    if fail_after:
        raise SourceError("camera 'x': frame size changes")


@given(st.lists(st.integers(0, 1000), unique=True).map(sorted), st.integers(1, 9), st.integers(1, 300))
def test_chunks_hold_all_frames_in_order_within_one_epoch(times_us: list[int], size: int, epoch_us: int) -> None:
    chunks = list(cut(pictures(times_us), ChunkRule(epoch_us, size), letterbox_of))
    assert [frame.time_us for chunk in chunks for frame in chunk.frames] == times_us
    for chunk in chunks:
        assert 1 <= len(chunk) <= size
        assert {frame.time_us // epoch_us for frame in chunk.frames} == {chunk.epoch}
        assert chunk.images.shape == (len(chunk), 32, 32, 3)
        assert [int(image[0, 0, 0]) for image in chunk.images] == [frame.index % 256 for frame in chunk.frames]
    for chunk, following in itertools.pairwise(chunks):
        assert len(chunk) == size or following.epoch != chunk.epoch


def test_frames_before_an_error_are_delivered_first() -> None:
    reader = ChunkReader(cut(pictures(range(5), fail_after=True), ChunkRule(100, 2), letterbox_of))
    assert [len(reader.pop()) for _ in range(3)] == [2, 2, 1]
    for _ in range(2):
        with pytest.raises(SourceError, match="frame size changes"):
            reader.peek()
    reader.close()


def test_peek_gives_up_in_time_and_loses_nothing() -> None:
    gate = threading.Event()

    def gated() -> Iterator[Picture]:
        gate.wait()
        yield from pictures(range(3))

    reader = ChunkReader(cut(gated(), ChunkRule(100, 2), letterbox_of))
    assert reader.peek(timeout_s=0) is None
    assert not reader.ended
    gate.set()
    assert [frame.index for frame in reader.pop().frames + reader.pop().frames] == [0, 1, 2]
    assert reader.peek() is None
    assert reader.ended
    reader.close()


def test_reads_only_a_little_ahead_and_stops_when_closed() -> None:
    taken: list[int] = []

    def endless() -> Iterator[Picture]:
        for index in range(10**9):
            taken.append(index)
            yield Picture(index, index)

    reader = ChunkReader(cut(endless(), ChunkRule(10**12, 2), letterbox_of), ahead=2)
    reader.pop()
    reader.close()
    assert not reader._thread.is_alive()
    assert len(taken) <= 2 * 2 * 3
