"""Clips with exactly known content: every frame shows its own number as black and white blocks."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 10
BLOCK = 16
SIZE_HW = (96, 176)


def picture(number: int, size_hw: tuple[int, int] = SIZE_HW) -> NDArray[np.uint8]:
    """Blocks along the upper edge, least significant bit first; below, texture that moves."""
    height, width = size_hw
    y, x = np.mgrid[:height, :width]
    image = np.stack([(x * 3 + number * 5) % 256, (y * 2 + number) % 256, (x + y) % 256], axis=2).astype(np.uint8)
    for bit in range(BITS):
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    centres = [image[BLOCK // 2, bit * BLOCK + BLOCK // 2].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(centres) if value > 127)


def write_clip(
    path: Path,
    frames: int = 60,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    container_format: str | None = None,
    size_hw: tuple[int, int] = SIZE_HW,
    pix_fmt: str = "yuv420p",
    first: int = 0,
) -> Path:
    """`times`: presentation time of each frame in ticks of `time_base`; one tick apart by default."""
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=30, options={"threads": "1", **(options or {})})
        stream.height, stream.width = size_hw
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(first + i, size_hw), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = (times[i] if times else i), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# Every way in which packets and frames can relate: file name -> codec, options, container format.
KINDS: dict[str, tuple[str, dict[str, str], str | None]] = {
    "plain.mp4": ("libx264", {"g": "12", "bf": "0"}, None),
    "b_pyramid.mp4": ("libx264", {"g": "20", "bf": "3", "x264-params": "b-pyramid=normal:scenecut=0"}, None),
    "open_gop.mp4": ("libx264", {"x264-params": "keyint=15:bframes=3:open-gop=1:scenecut=0"}, None),
    "intra_refresh.mp4": ("libx264", {"x264-params": "keyint=15:intra-refresh=1:bframes=0"}, None),
    "one_gop.mp4": ("libx264", {"g": "250", "bf": "2"}, None),
    "b_frames.mkv": ("libx264", {"g": "20", "bf": "2"}, None),
    "b_frames.ts": ("libx264", {"g": "20", "bf": "2"}, None),
    "no_times.h264": ("libx264", {"g": "20", "bf": "2"}, "h264"),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=20:bframes=3:log-level=0:pools=1"}, None),
    "hevc_open_gop.mkv": ("libx265", {"x265-params": "keyint=12:bframes=3:open-gop=1:log-level=0:pools=1"}, None),
    "mpeg4.avi": ("mpeg4", {"g": "12", "bf": "2", "qscale": "3"}, None),
    "vp9.webm": ("libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}, None),
    "mjpeg.avi": ("mjpeg", {"qscale": "3"}, None),
}


def write_kind(folder: Path, name: str, frames: int = 60) -> Path:
    codec, options, container_format = KINDS[name]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return write_clip(
        folder / name, frames, codec=codec, options=options, container_format=container_format, pix_fmt=pix_fmt
    )


def set_rotation(path: Path, turns_clockwise: int) -> None:
    """Rewrite the display matrix in the track header of an MP4 (ISO/IEC 14496-12, 8.3.2)."""
    one = 1 << 16
    a, b, c, d = {0: (one, 0, 0, one), 1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}[
        turns_clockwise
    ]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def write_silence(path: Path) -> Path:
    """A file with sound only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for i in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, i * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
