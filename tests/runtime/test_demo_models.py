"""`retail-ray train-demo-models --smoke`: weights of all three kinds that the product loads, made once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retail_ray.core.errors import ConfigError
from retail_ray.runtime.demo_models import RECIPES, train_demo_models
from retail_ray.vision import detector as yolo
from retail_ray.vision import embedder as reid
from retail_ray.vision import segmenter as sam

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools


@pytest.mark.long
def test_the_smoke_run_gives_weights_that_load_and_is_not_done_twice(tmp_path: Path) -> None:
    done = smoke(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "store 2 of 2" in done.stderr
    assert "already done" not in done.stderr

    report = json.loads((tmp_path / "demo_models.json").read_text())
    assert set(report["stages"]) == {"training data", "development data", "detector", "embedder", "segmenter"}
    assert report["stages"]["training data"]["first_seed"] == 1_003_000
    assert report["stages"]["development data"]["first_seed"] == 2_003_000
    for name in ("detector", "embedder", "segmenter"):
        assert report["stages"][name]["sha256"] in done.stdout

    settings = yolo.DetectorSettings(tmp_path / "demo_detector.pt", input_hw=(96, 160), precision="f32")
    assert len(yolo.load_detector(settings, tmp_path).detect(np.zeros((1, 96, 160, 3), np.uint8))) == 1
    embedder = reid.load_embedder(reid.EmbedderSettings(tmp_path / "demo_embedder.pt"), tmp_path)
    assert embedder.embed(np.zeros((1, 256, 128, 3), np.uint8)).shape == (1, 512)
    assert sam.load_segmenter(sam.SegmenterSettings(tmp_path / "demo_segmenter.pth")).longest_side_px > 0

    again = smoke(tmp_path)
    assert again.returncode == 0
    assert again.stderr.count("already done") == 5
    assert again.stdout == done.stdout

    other_seed = smoke(tmp_path, seed=4)
    assert other_seed.returncode == 2
    assert "another recipe or seed" in other_seed.stderr


def smoke(out: Path, seed: int = 3) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "retail_ray.cli", "train-demo-models", "--smoke", "--out", str(out)]
    return subprocess.run(
        [*command, "--seed", str(seed), "--threads", "1"], capture_output=True, text=True, timeout=540, check=False
    )


def test_a_seed_beyond_its_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed is 1000"):
        train_demo_models(tmp_path, "smoke", 1000, lambda _text: None)


def test_the_full_recipe_is_one_of_many_people() -> None:
    recipe = RECIPES["full"]
    assert recipe.training.scenes * recipe.training.people_per_scene >= 300
    assert recipe.training.renderer == "software"
