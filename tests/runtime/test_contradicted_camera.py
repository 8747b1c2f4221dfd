"""A camera whose floor contradicts the others comes out of a run as a row in `alerts`; a right one does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retail_ray.lake.views import open_lake
from retail_ray.runtime.attempt import Attempt
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.plan import RunPlan
from tests.runtime.scripted import ScriptedCrew, person, scripted_site
from tests.support.scenes import S, Sighting

START_US = 1_772_346_580 * S
SECONDS = 60
CAMERAS = ["aisle", "door", "hall"]
PEOPLE, RADIUS_M, SPEED_M_S = 6, 3.0, 1.0


def round_walk(number: int, shift_m: float) -> Callable[[float], tuple[float, float]]:
    """People follow each other on a circle, three metres apart."""

    def at(time_s: float) -> tuple[float, float]:
        angle = time_s * SPEED_M_S / RADIUS_M + 2 * np.pi * number / PEOPLE
        return float(6 + shift_m + RADIUS_M * np.cos(angle)), float(6 + RADIUS_M * np.sin(angle))

    return at


def alerts(folder: Path, shift_m: float) -> list[dict[str, Any]]:
    """Of a run in which the camera in the aisle is shifted."""
    site = scripted_site(folder, CAMERAS, "2026-03-01T06:29:40+00:00", timezone="Asia/Kolkata")
    plan = RunPlan(site, "rscripted", live=False)
    seen: dict[str, list[Sighting]] = {
        camera: sorted(
            (
                sighting
                for number in range(PEOPLE)
                for sighting in person(
                    number + 1, number, 0, SECONDS - 1, round_walk(number, shift_m * (camera == "aisle")), START_US
                )
            ),
            key=lambda one: (one.time_us, one.local_id),
        )
        for camera in CAMERAS
    }
    crew = ScriptedCrew(plan, seen, (START_US, START_US + SECONDS * S))
    assert not Attempt(plan, crew, JobOptions(), threading.Event()).run().errors
    with open_lake(Path(site.lake)) as lake:
        return list(lake.rows("SELECT * FROM alerts ORDER BY time"))


@pytest.mark.parametrize("shift_m", [0.0, 1.5])
def test_a_run_alerts_of_the_camera_that_contradicts_the_others(tmp_path: Path, shift_m: float) -> None:
    found = alerts(tmp_path, shift_m)
    assert [(row["rule_id"], row["state"], row["camera_id"]) for row in found] == (
        [("camera_contradicted", "raised", "aisle")] if shift_m else []
    )
    for row in found:
        assert row["value"] < row["threshold"]
        assert "calibrate check --lake" in row["message"]
