"""H.264 clips through PyAV; each says in its metadata that it was simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import SourceError

SIMULATED_COMMENT: Final = "retail_ray simulation"
"""How the `comment` tag of every simulated clip begins."""

_TIME_BASE: Final = Fraction(1, 90_000)


class ClipWriter:
    """One clip; frames with presentation times, also uneven ones. The same frames give the same bytes."""

    def __init__(self, path: Path, size_hw: tuple[int, int], fps: float, crf: int, about: str) -> None:
        self._path = path
        self._container = av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"})
        self._container.metadata["comment"] = f"{SIMULATED_COMMENT}: {about}"
        rate = Fraction(fps).limit_denominator(1000)
        stream = self._container.add_stream("libx264", rate=rate)
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.thread_count = 1
        # Without B-frames, as cameras have it, and without mbtree: with them x264 gives other bytes from run to run.
        stream.options = {
            "crf": str(crf), "preset": "veryfast", "g": str(max(1, round(4 * fps))), "bf": "0", "flags": "+bitexact",
            "x264-params": "mbtree=0",
        }  # fmt: skip
        self._stream = stream

    def write(self, image: NDArray[np.uint8], at_us: int) -> None:
        """Append RGB uint8 (H, W, 3), shown `at_us` after the clip's beginning."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = round(Fraction(at_us, 1_000_000) / _TIME_BASE), _TIME_BASE
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and end the file."""
        self._mux(self._stream.encode(None))
        with self._named_errors():
            self._container.close()

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(OSError, av.FFmpegError):
                self._container.close()

    def _mux(self, packets: Sequence[av.Packet[Any]]) -> None:
        with self._named_errors():
            self._container.mux(packets)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise SourceError(f"{self._path}: the clip cannot be written: {error}") from error
