"""Clips come back frame by frame with the times that were given, and say that they were simulated."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from retail_ray.core.errors import SourceError
from retail_ray.simulation.clip_writer import SIMULATED_COMMENT, ClipWriter
from retail_ray.video.sources import open_source

TIMES_US = [0, 90_000, 210_000, 300_000, 500_000]


def write(path: Path, times_us: list[int] = TIMES_US) -> None:
    with ClipWriter(path, (72, 96), 10.0, 18, "a test") as clip:
        for number, at_us in enumerate(times_us):
            clip.write(np.full((72, 96, 3), 40 * number + 20, np.uint8), at_us)


def test_frames_and_uneven_times_come_back(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4")
    source = open_source("c", str(tmp_path / "clip.mp4"), 1_000_000, 30.0, decoder_threads=1)
    frames = [(frame.index, frame.time_us, int(frame.native().mean())) for frame in source.frames()]
    source.close()
    assert [time_us - 1_000_000 for _, time_us, _ in frames] == pytest.approx(TIMES_US, abs=100)
    assert [index for index, _, _ in frames] == [0, 1, 2, 3, 4]
    assert [level for *_, level in frames] == pytest.approx([20, 60, 100, 140, 180], abs=3)


def test_the_clip_says_that_it_was_simulated(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.metadata["comment"].startswith(SIMULATED_COMMENT)


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one.mp4")
    write(tmp_path / "two.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere.clip\.mp4"):
        write(tmp_path / "nowhere" / "clip.mp4")
