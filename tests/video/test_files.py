"""Recorded files: every sampled frame is the right one, bit by bit, with or without skipping and after any resume."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.boxes import Letterbox
from retail_ray.core.errors import SourceError
from retail_ray.core.ports import DecodedFrame
from retail_ray.video.decode import Place, Video
from retail_ray.video.files import FileSource
from retail_ray.video.letterbox import letterbox_image
from retail_ray.video.sources import open_source
from tests.video import clips

START_US = 1_700_000_000_000_000


def open_file(path: Path, fps: float = 30, threads: int = 1, *, exhaustive: bool = False) -> FileSource:
    return FileSource(Place("door-1", str(path)), START_US, fps, decoder_threads=threads, exhaustive=exhaustive)


def pixels(source: FileSource, resume_after_us: int | None = None) -> dict[tuple[int, int], bytes]:
    return {(f.index, f.time_us): f.native().tobytes() for f in source.frames(resume_after_us)}


def collect(source: FileSource, seen: list[DecodedFrame]) -> None:
    for frame in source.frames():
        seen.append(frame)  # noqa: PERF402 - extend would lose all on an error


def numbers(frames: list[DecodedFrame]) -> list[int]:
    return [clips.number_of(frame.native()) for frame in frames]


@pytest.mark.parametrize("name", clips.KINDS)
def test_every_frame_comes_once_in_order_with_its_own_number_and_time(clip_folder: Path, name: str) -> None:
    source = open_file(clip_folder / name, 60)
    frames = list(source.frames())
    assert numbers(frames) == [f.index for f in frames] == list(range(60))
    rate = source.info.native_fps
    assert rate == pytest.approx(25 if name.endswith(".h264") else 30, rel=0.002)
    expected = START_US + np.arange(60) * 1e6 / rate
    tolerance_us = 1_000 if name.endswith((".mkv", ".webm")) else 1
    assert np.abs([f.time_us for f in frames] - expected).max() <= tolerance_us
    assert source.info.frame_count == source.info.sampled_count == 60
    assert source.take_gaps() == []


@pytest.mark.parametrize("fps", [15, 10, 7, 1, 0.6])
@pytest.mark.parametrize("name", clips.KINDS)
def test_skipping_changes_no_pixel(clip_folder: Path, name: str, fps: float) -> None:
    source = open_file(clip_folder / name, fps)
    frugal = pixels(source)
    assert frugal == pixels(open_file(clip_folder / name, fps, exhaustive=True))
    assert frugal == pixels(open_file(clip_folder / name, fps, threads=3))
    assert len(frugal) == pytest.approx(60 / source.info.native_fps * fps, abs=3)


@pytest.mark.parametrize("name", clips.KINDS)
def test_a_resumed_run_gives_exactly_the_rest(clip_folder: Path, name: str) -> None:
    source = open_file(clip_folder / name, 10)
    whole = pixels(source)
    for time_us in [START_US - 1, *source.frame_times_us.tolist()]:
        assert pixels(source, time_us) == {key: value for key, value in whole.items() if key[1] > time_us}
    assert source.take_gaps() == []


def test_a_resumed_run_of_a_real_clip_gives_exactly_the_rest(shared_data: Path) -> None:
    """B-frames, groups of 124 frames."""
    source = open_file(shared_data / "clips/unlabelled/shop_cctv_channel1.mp4", 5)
    whole = pixels(source)
    assert whole == pixels(open_file(shared_data / "clips/unlabelled/shop_cctv_channel1.mp4", 5, exhaustive=True))
    for time_us in source.frame_times_us[[0, 24, 25, 49, 60, -2]].tolist():
        assert pixels(source, time_us) == {key: value for key, value in whole.items() if key[1] > time_us}


@pytest.mark.parametrize("name", ["plain.mp4", "b_frames.mkv"])
def test_resuming_reads_from_the_keyframe_before_and_not_from_the_start(clip_folder: Path, name: str) -> None:
    with Video(Place("door-1", str(clip_folder / name)), decoder_threads=1) as video:
        timeline = video.scan().timeline
        entries = np.flatnonzero(timeline.entry)
        assert len(entries) >= 3
        for entry in entries[1:].tolist():
            ordinal, packet = next(video._packets_from(timeline, entry))
            assert entries[0] < ordinal <= entry
            assert packet.pts == timeline.stamps[ordinal, 0]


def test_variable_frame_rate_is_sampled_by_time(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 510, 520, 1000, 1900, 1940, 2500]
    path = clips.write_clip(tmp_path / "vfr.mkv", 10, times=times, time_base=Fraction(1, 1000), options={"bf": "2"})
    source = open_file(path, 2)
    frames = list(source.frames())
    assert [(f.index, f.time_us - START_US) for f in frames] == [
        (0, 0),
        (3, 500_000),
        (6, 1_000_000),
        (7, 1_900_000),
        (9, 2_500_000),
    ]
    assert numbers(frames) == [0, 3, 6, 7, 9]
    assert source.expected_frames(START_US + 500_000, START_US + 2_500_000) == 3


def test_a_first_frame_that_is_not_at_zero_begins_the_recording(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "late.ts", 10, times=list(range(9_000, 9_010)), options={"bf": "0"})
    times = [f.time_us for f in open_file(path).frames()]
    assert times[0] == START_US
    assert times[-1] == START_US + 300_000


def test_joined_recordings_run_on_where_the_clock_jumps_back(tmp_path: Path) -> None:
    first = clips.write_clip(tmp_path / "a.ts", 20, options={"bf": "2"})
    second = clips.write_clip(tmp_path / "b.ts", 20, options={"bf": "2"}, first=20)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    frames = list(open_file(joined).frames())
    assert numbers(frames) == [f.index for f in frames] == list(range(40))
    steps = np.diff([f.time_us for f in frames])
    assert steps.min() > 0
    assert np.abs(steps - 33_333).max() <= 2


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_display_matrix_turns_the_picture_upright(tmp_path: Path, turns: int) -> None:
    path = clips.write_clip(tmp_path / "phone.mp4", 4, options={"bf": "0"})
    clips.set_rotation(path, turns)
    source = open_file(path)
    frame = next(iter(source.frames()))
    upright = np.rot90(frame.native(), turns)
    assert clips.number_of(upright) == 0
    assert np.abs(upright.astype(int) - clips.picture(0)).mean() < 40
    assert source.native_hw == frame.native_hw == frame.native().shape[:2]
    assert (source.native_hw == clips.SIZE_HW) == (turns % 2 == 0)
    letterbox = Letterbox(source.native_hw, (64, 64))
    assert np.array_equal(frame.letterboxed(letterbox), letterbox_image(frame.native(), letterbox))


def test_pixels_equal_opencvs_on_a_real_clip(shared_data: Path) -> None:
    """The clip names no colour matrix: BT.601, limited range. ultralytics reads video by OpenCV."""
    path = shared_data / "clips/towncentre/video.mp4"
    capture = cv2.VideoCapture(str(path))
    source = open_file(path, 30)
    assert source.info.frame_count == 302
    assert source.native_hw == (1080, 1920)
    for frame, _ in zip(source.frames(), range(8), strict=False):
        _, bgr = capture.read()
        assert np.array_equal(frame.native(), bgr[..., ::-1])
    capture.release()


@pytest.mark.parametrize(
    ("options", "pix_fmt", "luma", "chroma", "rgb"),
    [
        # limited range: 235 is white, 16 is black
        ({}, "yuv420p", 235, (128, 128), (255, 255, 255)),
        ({}, "yuv420p", 16, (128, 128), (0, 0, 0)),
        # full range: 235 is grey
        ({"x264-params": "fullrange=on"}, "yuvj420p", 235, (128, 128), (235, 235, 235)),
        # the same chroma is another colour by BT.601 and by BT.709
        ({"x264-params": "colormatrix=smpte170m"}, "yuv420p", 128, (128, 200), (245, 72, 130)),
        ({"x264-params": "colormatrix=bt709"}, "yuv420p", 128, (128, 200), (255, 92, 130)),
    ],
)
def test_colour_range_and_matrix_of_the_stream_are_followed(
    tmp_path: Path,
    options: dict[str, str],
    pix_fmt: str,
    luma: int,
    chroma: tuple[int, int],
    rgb: tuple[int, int, int],
) -> None:
    import av

    path = tmp_path / "colour.mp4"
    planes = np.concatenate([np.full(s * s, v, np.uint8) for s, v in ((64, luma), (32, chroma[0]), (32, chroma[1]))])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"qp": "1", **options})
        stream.width, stream.height, stream.pix_fmt = 64, 64, pix_fmt
        container.mux(stream.encode(av.VideoFrame.from_ndarray(planes.reshape(96, 64), format=pix_fmt)))
        container.mux(stream.encode())
    image = next(iter(open_file(path).frames())).native()
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - rgb).max() <= 3


def test_expected_frames_add_up(clip_folder: Path) -> None:
    source = open_file(clip_folder / "plain.mp4", 7)
    given = [f.time_us for f in source.frames()]
    for a in range(-1, 22):
        low, high = START_US + a * 100_000, START_US + (a + 3) * 100_000
        assert source.expected_frames(low, high) == sum(low <= t < high for t in given)
    assert source.info.duration_s == pytest.approx(2.0)


# --- what is wrong with a file, and what is said about it ---


def write_moov_last(path: Path) -> Path:
    return clips.write_clip(path, 60)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.mp4", None, "no such file"),
        ("empty.mp4", b"", "0 bytes"),
        ("text.mp4", b"this is not a video\n" * 500, "cannot be opened"),
        ("log.txt", b"this is not a video\n" * 500, "holds no video"),
        ("titles.mp4", b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "only subtitle"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "cannot be opened"),
        ("zeros.mp4", bytes(100_000), "cannot be opened"),
    ],
)
def test_a_file_that_is_no_video_says_so(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        open_file(path)
    assert "camera 'door-1'" in str(caught.value)
    assert name in str(caught.value)


def test_sound_without_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no video, only audio"):
        open_file(clips.write_silence(tmp_path / "sound.m4a"))


def test_an_mp4_cut_before_its_index_says_so(tmp_path: Path) -> None:
    path = write_moov_last(tmp_path / "cut.mp4")
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(SourceError, match="cut off before its index"):
        open_file(path)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_gives_all_that_is_there_and_says_what_is_not(tmp_path: Path, share: float) -> None:
    path = clips.write_clip(tmp_path / "cut.mp4", 90, options={"bf": "0", "g": "30", "movflags": "faststart"})
    import av

    with (
        av.open(str(path)) as source_file,
        av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        copy = out.add_stream_from_template(source_file.streams.video[0])
        for packet in source_file.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    path = tmp_path / "front.mp4"
    whole = pixels(open_file(path, 10))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    source = open_file(path, 10)
    assert source.info.truncated
    found = pixels(source)
    assert 0 < len(found) < len(whole)
    assert found == dict(list(whole.items())[: len(found)])
    assert source.expected_frames(START_US, START_US + 10_000_000) == 30
    (gap,) = source.take_gaps()
    assert gap.reason == "truncated"
    assert gap.frames == 30 - len(found)
    assert gap.to_us == START_US + 3_000_000


def test_a_whole_file_is_not_called_truncated(clip_folder: Path, shared_data: Path) -> None:
    real = sorted((shared_data / "clips").rglob("*.mp4"))
    assert len(real) >= 6
    for path in [*real, *(clip_folder / name for name in clips.KINDS)]:
        assert not open_file(path, 1).info.truncated, path


def test_corrupt_packets_in_the_middle_are_left_out_and_counted(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "hole.mkv", 60, options={"bf": "0", "g": "10"})
    whole = pixels(open_file(path, 30))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 900] = b"\xff" * 900
    path.write_bytes(data)
    source = open_file(path, 30)
    found = pixels(source)
    gaps = source.take_gaps()
    assert len(found) >= 30
    assert {gap.reason for gap in gaps} <= {"corrupt", "missing"}
    assert len(found) + sum(gap.frames for gap in gaps) == pytest.approx(60, abs=1)
    assert source.expected_frames(START_US, START_US + 3_000_000) == pytest.approx(60, abs=1)
    times = {time_us: image for (_, time_us), image in whole.items()}
    intact = [time_us for (_, time_us), image in found.items() if times[time_us] == image]
    assert len(intact) >= 30
    assert {intact[0], intact[-1]} == {START_US, max(times)}
    for time_us in intact:
        resumed = open_file(path, 30)
        rest = pixels(resumed, time_us)
        assert rest == {key: image for key, image in found.items() if key[1] > time_us}
        assert resumed.take_gaps() == [gap for gap in gaps if gap.to_us > time_us]


def test_a_change_of_size_ends_the_source_after_the_last_good_frame(tmp_path: Path) -> None:
    small = clips.write_clip(tmp_path / "a.ts", 20, options={"bf": "2"})
    large = clips.write_clip(tmp_path / "b.ts", 20, options={"bf": "2"}, first=20, size_hw=(128, 208))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    seen: list[DecodedFrame] = []
    with pytest.raises(SourceError, match="frame 20 from 176x96 to 208x128") as caught:
        collect(open_file(joined), seen)
    assert numbers(seen) == list(range(20))
    assert "door-1" in str(caught.value)


@pytest.mark.parametrize("name", ["plain.mp4", "b_frames.mkv", "b_frames.ts", "mpeg4.avi", "hevc.mp4"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_bytes_give_frames_or_a_source_error(
    clip_folder: Path, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Nothing is silent either: what is sampled is given or stands in a gap."""
    content = bytearray((clip_folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=200))
        content[at : at + len(patch)] = patch
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    given_frames: list[tuple[int, tuple[int, ...]]] = []
    with contextlib.suppress(SourceError):
        source = open_file(path, 10)
        given_frames = [(f.time_us, f.native().shape) for f in source.frames()]
    if not given_frames:
        return
    times = [time_us for time_us, _ in given_frames]
    assert times == sorted(set(times))
    lost = sum(gap.frames for gap in source.take_gaps() if gap.reason == "corrupt")
    assert lost + len(times) == source.info.sampled_count


def test_closing_ends_the_frames(clip_folder: Path) -> None:
    source = open_file(clip_folder / "plain.mp4")
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_file_addresses_and_spaces_work(clip_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "front door.mp4"
    path.write_bytes((clip_folder / "plain.mp4").read_bytes())
    source = open_source("door-1", path.as_uri(), START_US, 10, decoder_threads=1)
    assert len(list(source.frames())) == 20
