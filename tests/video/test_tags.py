"""What a container says about itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retail_ray.simulation.clip_writer import SIMULATED_COMMENT, ClipWriter
from retail_ray.video.tags import comment_of
from tests.video.clips import write_clip


def test_a_simulated_clip_says_so(tmp_path: Path) -> None:
    with ClipWriter(tmp_path / "clip.mp4", (64, 96), 10, 26, "corner shop, seed 3") as clip:
        clip.write(np.zeros((64, 96, 3), np.uint8), 0)
        clip.write(np.zeros((64, 96, 3), np.uint8), 100_000)
    assert comment_of(tmp_path / "clip.mp4") == f"{SIMULATED_COMMENT}: corner shop, seed 3"


def test_other_clips_do_not(tmp_path: Path) -> None:
    assert comment_of(write_clip(tmp_path / "clip.mp4", 5)) == ""


def test_what_is_no_clip(tmp_path: Path) -> None:
    (tmp_path / "words.mp4").write_text("only words")
    assert comment_of(tmp_path / "words.mp4") is None
    assert comment_of(tmp_path / "nowhere.mp4") is None
    assert comment_of(tmp_path) is None
