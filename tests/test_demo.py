"""`make demo` as a newcomer sees it: the shipped store through Ray, compared with the truth, and a picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs.demo import STORE
from retail_ray.config_file import load_site
from retail_ray.evaluation.evaluation import evaluate
from retail_ray.evaluation.measures import flat
from retail_ray.lake.truth import read_truth
from retail_ray.simulation.recipe import load_recipe


def test_the_shipped_store_is_small_and_what_its_recipe_says() -> None:
    recipe, site, truth = (
        load_recipe(STORE / "recipe.yaml"),
        load_site(STORE / "site.yaml"),
        read_truth(STORE / "truth"),
    )
    assert sum(path.stat().st_size for path in (STORE / "clips").iterdir()) < 12e6
    assert (truth.of.site_id, truth.of.layout, truth.of.seed) == (recipe.site_id, recipe.layout, recipe.seed)
    assert site.site == recipe.site_id
    assert truth.of.end_us - truth.of.start_us == recipe.scenario.duration_s * 1e6
    assert {camera.id for camera in site.cameras} == set(truth.tables["frames"]["camera_id"])


@pytest.mark.long
def test_the_demo_runs_offline_and_counts_what_happened(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.demo", "--no-page", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Counted against what really happened" in done.stdout
    picture = cv2.imread(str(tmp_path / "out" / "contact_sheet.png"))
    assert picture is not None
    assert picture.shape[1] > 1000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5000
    scores = flat(evaluate(tmp_path / "out" / "lake", STORE / "truth").sections["detector"])
    found = scores["recall_80px_half_visible"].value
    assert found is not None
    assert found > 0.75
    doors = flat(evaluate(tmp_path / "out" / "lake", STORE / "truth").sections["doors"])["all.f1"].value
    assert doors is not None
    assert doors > 0.6
