"""Folders of images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from retail_ray.core.errors import ConfigError, SourceError
from retail_ray.video.folders import FolderSource
from retail_ray.video.sources import open_source
from tests.video import clips

START_US = 1_700_000_000_000_000


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.ascontiguousarray(clips.picture(number)[..., ::-1]))


def open_folder(path: Path, fps: float = 30, image_fps: float = 30) -> FolderSource:
    source = open_source("aisle", str(path), START_US, fps, decoder_threads=1, image_fps=image_fps)
    assert isinstance(source, FolderSource)
    return source


def test_images_come_by_number_and_at_their_rate(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.png", "2.png", "9.png", "10.png", "11.png"])
    (tmp_path / "notes.txt").write_text("not an image")
    frames = list(open_folder(tmp_path, image_fps=12.5).frames())
    assert [clips.number_of(f.native()) for f in frames] == [0, 1, 2, 3, 4]
    assert [f.time_us - START_US for f in frames] == [0, 80_000, 160_000, 240_000, 320_000]


def test_sampling_and_resuming_pick_the_same_images(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{i:04d}.png" for i in range(30)])
    source = open_folder(tmp_path, fps=10)
    frames = list(source.frames())
    assert [f.index for f in frames] == list(range(0, 30, 3))
    assert source.expected_frames(START_US, START_US + 10**9) == 10
    for frame in frames:
        rest = [f.index for f in source.frames(frame.time_us)]
        assert rest == [f.index for f in frames if f.index > frame.index]


def test_motchallenge_folders_bring_their_rate(shared_data: Path) -> None:
    source = open_folder(shared_data / "clips/mot17_mini/MOT17-05-FRCNN", fps=60)
    assert source.info.native_fps == 14
    assert source.native_hw == (480, 640)
    assert [f.time_us - START_US for f in source.frames()] == [0, 71_429, 142_857, 214_286, 285_714, 357_143]


def test_an_unreadable_image_is_a_gap(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "b.png").write_bytes(b"")
    source = open_folder(tmp_path)
    assert [f.index for f in source.frames()] == [0, 2]
    assert [(gap.reason, gap.from_us, gap.frames) for gap in source.take_gaps()] == [("corrupt", START_US + 33_333, 1)]
    assert source.take_gaps() == []


def test_another_size_is_told_with_its_frame(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((32, 48, 3), np.uint8))
    frames = open_folder(tmp_path).frames()
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(SourceError, match=r"'aisle'.*frame 2 from 176x96 to 48x32"):
        next(frames)


def test_folders_that_hold_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images"):
        open_folder(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 broken")
    with pytest.raises(SourceError, match="none of its 1 images"):
        open_folder(tmp_path)
    write_images(tmp_path / "img1", ["000001.png"])
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nframeRate=fast\n")
    with pytest.raises(SourceError, match="frameRate"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("uri", "recorded_at_us", "error", "words"),
    [
        ("ftp://user:secret@nas/video.mp4", 0, SourceError, r"'ftp' addresses are not supported"),
        ("rtsp://user:secret@10.0.0.5/1", 0, SourceError, "live stream, not a recording"),
        ("/nowhere/video.mp4", None, ConfigError, "`recorded_at` is missing"),
        ("/nowhere/video.mp4", 0, SourceError, "no such file"),
    ],
)
def test_addresses_that_cannot_be_opened(
    uri: str, recorded_at_us: int | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        open_source("aisle", uri, recorded_at_us, 10, decoder_threads=1)
    assert "secret" not in str(caught.value)
    assert "'aisle'" in str(caught.value)
