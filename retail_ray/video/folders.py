"""Folders of still images as recordings, also in the MOTChallenge layout."""

from __future__ import annotations

import configparser
import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Gap, Image
from retail_ray.video.decode import Place
from retail_ray.video.images import read_rgb
from retail_ray.video.letterbox import letterbox_image
from retail_ray.video.recording import Ledger, Schedule, SourceInfo
from retail_ray.video.sampling import exact_rate

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True, slots=True, eq=False)
class StillFrame:
    """A frame that was an image already."""

    index: int
    time_us: int
    image: Image

    @property
    def native_hw(self) -> tuple[int, int]:
        height, width = self.image.shape[:2]
        return height, width

    def native(self) -> Image:
        return self.image

    def letterboxed(self, letterbox: Letterbox) -> Image:
        return letterbox_image(self.image, letterbox)

    def stamped(self, index: int, time_us: int) -> StillFrame:
        return dataclasses.replace(self, index=index, time_us=time_us)


class FolderSource:
    """Images in the order of their names, numbers counted as numbers ('2.jpg' before '10.jpg').

    MOTChallenge folders (seqinfo.ini, img1) bring their own frame rate. Unreadable images are gaps.
    """

    def __init__(self, place: Place, start_us: int, analysis_fps: float, image_fps: float) -> None:
        self._place = place
        self._closed = False
        self._gaps = Ledger()
        root = Path(place.uri)
        fps = _sequence_fps(place, root) or exact_rate(image_fps)
        self._paths = _image_paths(root / "img1" if (root / "img1").is_dir() else root)
        if not self._paths:
            known = ", ".join(sorted(_SUFFIXES))
            raise place.error(f"the folder holds no images ({known}); check `uri` of the camera")
        ticks = np.arange(len(self._paths), dtype=np.int64)
        elapsed_us = (ticks * (US_PER_S * fps.denominator) + fps.numerator // 2) // fps.numerator
        end_us = start_us + round(len(ticks) / fps * US_PER_S)
        self._schedule = Schedule(
            start_us=start_us,
            end_us=end_us,
            declared_end_us=end_us,
            elapsed_us=elapsed_us,
            elapsed_ticks=ticks,
            time_base=1 / fps,
            analysis_fps=analysis_fps,
        )
        self.info = SourceInfo(
            kind="folder",
            codec=self._paths[0].suffix[1:].lower(),
            native_hw=self._first_size(),
            native_fps=float(fps),
            start_us=start_us,
            end_us=end_us,
            declared_end_us=end_us,
            frame_count=len(ticks),
            sampled_count=int(self._schedule.wanted.sum()),
        )

    @property
    def native_hw(self) -> tuple[int, int]:
        return self.info.native_hw

    @property
    def frame_times_us(self) -> NDArray[np.int64]:
        """(S,) int64 event times of all sampled frames."""
        return self._schedule.sampled_us

    def expected_frames(self, from_us: int, until_us: int) -> int:
        return self._schedule.expected(from_us, until_us)

    def frames(self, resume_after_us: int | None = None) -> Iterator[StillFrame]:
        for index in np.flatnonzero(self._schedule.wanted_after(resume_after_us)).tolist():
            if self._closed:
                return
            time_us = int(self._schedule.time_us[index])
            image = read_rgb(self._paths[index])
            if image is None:
                self._gaps.add(Gap("corrupt", time_us, time_us + 1, 1))
                continue
            frame = StillFrame(index, time_us, image)
            self._place.check_size(index, frame.native_hw, self.native_hw)
            yield frame

    def take_gaps(self) -> list[Gap]:
        return self._gaps.take()

    def close(self) -> None:
        self._closed = True

    def _first_size(self) -> tuple[int, int]:
        for path in self._paths:
            image = read_rgb(path)
            if image is not None:
                return image.shape[0], image.shape[1]
        raise self._place.error(f"none of its {len(self._paths)} images can be read; copy them again")


def _image_paths(folder: Path) -> list[Path]:
    paths = (path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    return sorted(paths, key=lambda path: (_natural(path.name), path.name))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _sequence_fps(place: Place, folder: Path) -> Fraction | None:
    """frameRate of a MOTChallenge seqinfo.ini; None where there is none."""
    path = folder / "seqinfo.ini"
    if not path.is_file():
        return None
    parser = configparser.ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        return exact_rate(parser.getfloat("Sequence", "frameRate"))
    except (configparser.Error, ValueError) as error:
        raise place.error(
            f"seqinfo.ini has no usable frameRate in [Sequence] ({error}); set it, as 'frameRate=30'"
        ) from error
