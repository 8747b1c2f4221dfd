"""Clips from a recording, so coarse that nobody is recognised: only the pixelated pictures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from retail_ray.audit.sample import Clip
from retail_ray.audit.scenes import FPS, LEAD_S, LineView, mark
from retail_ray.core.errors import SourceError
from retail_ray.core.time import US_PER_S
from retail_ray.video.decode import Place
from retail_ray.video.files import FileSource

BLOCKS: Final = 80
"""Squares across the picture: a head before a door camera is two or three of them."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One camera's file, which began at start_us."""

    camera_id: str
    path: Path
    start_us: int

    def draw(self, clip: Clip, clip_s: float, view: LineView, words: str) -> Iterator[Image.Image]:
        """Raises SourceError where the file does not reach the clip."""
        source = FileSource(Place(self.camera_id, str(self.path)), self.start_us, float(FPS), decoder_threads=1)
        first_us = clip.start_us - round(LEAD_S * US_PER_S)
        end_us = first_us + round((clip_s + 2 * LEAD_S) * US_PER_S)
        height, width = source.native_hw
        shown = LineView(view.ends, view.inside, (float(height), float(width)))
        drawn = 0
        for frame in source.frames(first_us - 1):
            if frame.time_us >= end_us:
                break
            picture = pixelated(Image.fromarray(frame.native()), shown.size)
            mark(picture, shown, (frame.time_us - first_us) / US_PER_S, clip_s, words)
            drawn += 1
            yield picture
        if not drawn:
            raise SourceError(f"camera '{self.camera_id}': {self.path} does not reach {clip.clip_id}; give it whole")


def pixelated(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Averaged over BLOCKS squares across: what was within one is gone."""
    width, height = picture.size
    coarse = picture.resize((BLOCKS, max(1, round(BLOCKS * height / width))), Image.Resampling.BOX)
    return coarse.resize(size, Image.Resampling.NEAREST)
