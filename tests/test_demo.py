"""`make demo` as a newcomer sees it: the shipped store through Ray, compared with the truth, and a picture."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.demo import offline_command
from jobs.demo import STORE, demo
from retail_ray.config_file import load_site
from retail_ray.evaluation.belonging import require_truth_of
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


def test_truth_of_another_store_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Copied whole, but for the site that the truth names."""
    store = tmp_path / "store"
    shutil.copytree(STORE / "truth", store / "truth")
    (store / "site.yaml").write_text((STORE / "site.yaml").read_text().replace("site: demo-store", "site: other-store"))
    (store / "clips").symlink_to(STORE / "clips")
    result = CliRunner().invoke(demo, ["--store", str(store), "--no-page", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "the truth is of site 'demo-store', not of site 'other-store'" in result.output
    assert str(store / "truth") in result.output
    assert not (tmp_path / "out").exists()


def test_a_store_without_truth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text((STORE / "site.yaml").read_text())
    result = CliRunner().invoke(demo, ["--store", str(tmp_path), "--no-page", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "no truth of a simulation here" in result.output


def test_the_shipped_truth_is_of_the_shipped_site() -> None:
    site = load_site(STORE / "site.yaml")
    begins_us = {camera.id: camera.recorded_at_us for camera in site.cameras}
    require_truth_of(site.site, begins_us, read_truth(STORE / "truth"))


@pytest.fixture(scope="module")
def offline() -> bool:
    return offline_command() is not None


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, offline: bool) -> dict[str, Any]:
    """The demo with its page, started and ended as a user does; without any network where this machine allows that."""
    out = tmp_path_factory.mktemp("demo") / "demo.json"
    command = [sys.executable, "-m", "benchmarks.demo", "--out", str(out), *(["--offline"] if offline else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=590)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.long
def test_page_and_api_of_the_running_demo_answer(watched: dict[str, Any]) -> None:
    truth = read_truth(STORE / "truth").tables["crossings"]
    true = int(((truth["direction"] == "in") & ~truth["turned_back"]).sum())
    assert watched["page_is_html"]
    assert watched["exit_code"] == 0
    assert 0 < watched["stats"]["entries"] <= 2 * true
    assert sum(watched["parts_s"].values()) == pytest.approx(watched["total_s"], abs=0.1)


@pytest.mark.long
def test_the_demo_needs_no_network(watched: dict[str, Any], offline: bool) -> None:
    if not offline:
        pytest.skip("this machine lets no user make a network namespace: unshare --user --net")
    assert not watched["network_within_reach"]


@pytest.mark.long
def test_the_demo_counts_what_happened(tmp_path: Path) -> None:
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
