"""A store of two cameras and some business days, run as the product runs, whose detections lie in the lake too."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.config import Site
from retail_ray.core.records import CoverageRow, DetectionRows
from retail_ray.core.time import minute_of, to_us
from retail_ray.core.types import Observations
from retail_ray.lake.views import open_lake
from retail_ray.runtime.attempt import Attempt
from retail_ray.runtime.camera import EpochReport
from retail_ray.runtime.local_job import recorded_plan
from retail_ray.runtime.options import JobOptions
from tests.runtime.scripted import ScriptedCrew, person, scripted_site
from tests.support.scenes import S, Sighting, message

NOON = "2026-03-02T12:00:00+00:00"
TABLES = ("line_crossings", "zone_visits", "occupancy", "journeys")


class StoringCrew(ScriptedCrew):
    """Cameras that also write every tracked box, as the product's cameras do."""

    def _work(self, camera_id: str, epoch: int) -> EpochReport:
        begin_us, end_us = epoch * self._plan.epoch_us, (epoch + 1) * self._plan.epoch_us
        rows = [row for row in self._seen[camera_id] if begin_us <= row.time_us < end_us]
        said = self._told(camera_id, rows, end_us)
        for host in self._hosts:
            host.submit(said)
            if self._following(epoch) is None:
                host.end_camera(camera_id)
        stage = self._plan.stage(camera_id)
        tracklets = [row for row in self._tracklets(camera_id) if begin_us <= row.last_us < end_us]
        frames = len(np.unique(said.frame_time_us))
        coverage = [CoverageRow(camera_id, minute_of(begin_us), 10, frames, 0, "")]
        entries = [
            *stage.write_records("detections", [boxes(said)] if len(said) else [], epoch),
            *stage.write_records("tracklets", tracklets, epoch),
            *stage.write_records("coverage", coverage, epoch),
            stage.write_state(epoch, str(epoch).encode()),
        ]
        return EpochReport(camera_id, epoch, self._following(epoch), entries)

    def _told(self, camera_id: str, rows: Sequence[Sighting], end_us: int) -> Observations:
        said = message(camera_id, rows, end_us)
        floor = self._plan.site.camera(camera_id).floor
        assert floor is not None
        edge_px = said.foot_px + np.array([0, 7], np.float32)
        return replace(said, edge_px=edge_px, edge_xy_m=floor.calibration((1080, 1920)).to_floor(edge_px))


def boxes(said: Observations) -> DetectionRows:
    n = len(said)
    xyxy_px = np.concatenate([said.foot_px - 20, said.foot_px + np.array([20, 0], np.float32)], axis=1)
    return DetectionRows(
        said.camera_id, np.arange(n), said.time_us, xyxy_px, said.confidence, said.local_id, said.foot_px,
        np.zeros(n, np.int8), said.floor_xy_m, np.ones(n, np.float32), (None,) * n, (0, 0), said.edge_px,
    )  # fmt: skip


def wanderer(rng: np.random.Generator, local_id: int, first_s: float, last_s: float, start_us: int) -> list[Sighting]:
    """In by the door, here and there, and out again; unseen now and then."""
    n = max(2, round((last_s - first_s) / 5))
    places = np.concatenate([[(4, 0)], rng.uniform((0.5, 1.5), (8.5, 8.5), (n, 2)), [(4, 0)]])
    steps = np.linspace(0, len(places) - 1, round((last_s - first_s) * 10) + 1)
    noise = rng.normal(0, 0.05, (len(steps), 2))

    def path(t: float) -> tuple[float, float]:
        at = min(max(0, round((t - first_s) * 10)), len(steps) - 1)
        spot = [np.interp(steps[at], range(len(places)), places[:, axis]) for axis in (0, 1)]
        return float(spot[0] + noise[at, 0]), float(spot[1] + noise[at, 1])

    seen = person(local_id, local_id % 16, first_s, last_s, path, start_us)
    hidden_s = rng.uniform(first_s, last_s)
    return [row for row in seen if not hidden_s < (row.time_us - start_us) / S < hidden_s + 2.5]


def store(folder: Path, **changes: Any) -> Site:
    """Two cameras that see the same floor; the business day begins at 12:05."""
    return scripted_site(
        folder,
        ["door", "hall"],
        NOON,
        **({"day_start": "12:05", "timezone": "UTC", "runtime": {"epoch_s": 60}} | changes),
    )


def people(seed: int, seconds: int, count: int = 10) -> dict[str, list[Sighting]]:
    start_us, rng = start_of(), np.random.default_rng(seed)
    seen: dict[str, list[Sighting]] = {"door": [], "hall": []}
    for number in range(count):
        first_s = float(rng.uniform(0, seconds - 40))
        stay_s = float(rng.uniform(15, 120))
        for camera in seen:
            seen[camera] += wanderer(rng, number + 1, first_s, min(first_s + stay_s, seconds - 1), start_us)
    return seen


def start_of() -> int:
    return to_us(datetime.fromisoformat(NOON))


def run(site: Site, seen: Mapping[str, Sequence[Sighting]], seconds: int) -> str:
    """Run it to the end, commits and all; the run's id."""
    plan, start_us = recorded_plan(site), start_of()
    crew = StoringCrew(plan, seen, (start_us, start_us + seconds * S))
    return Attempt(plan, crew, JobOptions(), threading.Event()).run().run_id


def rows(lake: Path, table: str, version: str, name: str | None = None) -> list[tuple[Any, ...]]:
    """All rows of one version, without the version itself and the epoch that derived a journey."""
    with open_lake(lake) as opened:
        relation = name or (f"{table}_all" if table != "journeys" else "journeys")
        found = opened.sql(f"SELECT * FROM {relation} WHERE config_version = $version", {"version": version})
    kept = [column for column in found.column_names if column not in ("config_version", "version")]
    return sorted(tuple(map(str, row.values())) for row in found.select(kept).to_pylist())
