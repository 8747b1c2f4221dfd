"""A run in this process with some of its parts replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.true_parts import TrueTracker, Wrapped
from retail_ray.config_file import load_site
from retail_ray.core.types import Detections
from retail_ray.lake.views import open_lake
from retail_ray.runtime.clients import Deferred, Pending
from retail_ray.runtime.crew import Experiment
from retail_ray.runtime.local_job import run_in_process
from retail_ray.runtime.options import JobOptions
from tests.runtime.sites import lab, rows_of, write_site

MODEL_PX, PERSON = (100.0, 80.0, 140.0, 180.0), 7


class OnePerson(Wrapped):
    """Somebody who stands still."""

    def detect(self, images: np.ndarray) -> Pending[list[Detections]]:  # type: ignore[type-arg]
        one = Detections(np.array([MODEL_PX], np.float32), np.full(1, 0.9, np.float32), np.full(1, PERSON, np.int32))
        return Deferred(lambda: [one] * len(images))


def test_detector_and_tracker_of_one_camera_are_replaced(tmp_path: Path, shared_data: Path) -> None:
    site = load_site(write_site(tmp_path, shared_data, [lab(shared_data, 1), lab(shared_data, 2)]))
    experiment = Experiment(
        lambda camera_id, own: OnePerson(own) if camera_id == "lab-1" else own,
        lambda camera_id: TrueTracker() if camera_id == "lab-1" else None,
    )
    plain, changed = tmp_path / "plain", tmp_path / "changed"
    run_in_process(site.model_copy(update={"lake": str(plain)}), JobOptions())
    run_in_process(site.model_copy(update={"lake": str(changed)}), JobOptions(), experiment)
    with open_lake(changed) as lake:
        rows = lake.rows("SELECT DISTINCT local_id, x1_px, y2_px FROM detections WHERE camera_id = 'lab-1'")
        frames = lake.rows("SELECT count(*) AS n FROM detections WHERE camera_id = 'lab-1'")[0]["n"]
        analysed = lake.rows("SELECT sum(processed_frames) AS n FROM coverage WHERE camera_id = 'lab-1'")[0]["n"]
    assert len(rows) == 1
    assert rows[0]["local_id"] == 1000 * PERSON
    assert frames == analysed > 10
    before, after = (rows_of(lake) for lake in (plain, changed))
    of_other = [name for name in before if name.startswith("detections/") and "/lab-2-" in name]
    assert of_other
    assert all(before[name] == after[name] for name in of_other)
