"""What a set of weights, masks and a broken calibration change in a site, and that they change nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.simulated import miscalibrated
from benchmarks.weight_sets import SETS, WeightSet, with_masks, without_masks
from jobs.demo import STORE
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.config_models import DetectorSettings


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(STORE / "site.yaml")


def test_every_camera_that_counts_no_door_gets_the_calibration_of_another(site: Site) -> None:
    counting = {line.camera for line in site.lines}
    assert 0 < len(counting) < len(site.cameras) - 1
    for true, wrong in zip(site.cameras, miscalibrated(site), strict=True):
        assert (wrong.floor == true.floor) == (true.id in counting)
        assert wrong.model_copy(update={"floor": true.floor}) == true


def test_a_set_replaces_the_weights_it_names(site: Site) -> None:
    real, shipped = (SETS[name].applied(site).models for name in ("real", "shipped"))
    assert shipped == site.models
    assert real.detector.weights.endswith(SETS["real"].shown()["detector"])
    assert real.segmenter == site.models.segmenter
    assert SETS["shipped"].shown()["detector"] == site.models.detector.weights


def test_missing_files_are_named(tmp_path: Path) -> None:
    absent = str(tmp_path / "none.pt")
    assert WeightSet("mine", {"detector": DetectorSettings(weights=absent)}).missing() == [absent]
    assert SETS["shipped"].missing() == []


def test_masks_are_on_everywhere_or_nowhere(site: Site) -> None:
    on, off = with_masks(without_masks(site)), without_masks(site)
    assert all(camera.segmentation for camera in on.cameras)
    assert on.models.segmenter == site.models.segmenter
    assert not any(camera.segmentation for camera in off.cameras)
    assert off.models.segmenter is None
    assert on.models.detector == off.models.detector == site.models.detector
