"""One simulated store with a zone on the pavement, as a lake with its truth; made once for all tests here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.core.time import to_us
from retail_ray.lake.questions import Question
from retail_ray.lake.truth import Truth, read_truth
from retail_ray.lake.views import Lake, open_lake
from retail_ray.simulation.event_lake import SiteOfLake, write_lake
from retail_ray.simulation.event_settings import EventSettings
from retail_ray.simulation.event_store import plan_with_cameras
from retail_ray.simulation.layout_parts import zone
from retail_ray.simulation.site_file import site_document, write_site

START_US = to_us(datetime(2026, 3, 2, 12, tzinfo=ZoneInfo("Europe/Rome")))
PAVEMENT = zone("pavement", "entrance", 0.0, -4.0, 10.0, -0.05)


@dataclass(frozen=True)
class Store:
    root: Path
    lake: Lake
    site: Site
    truth: Truth

    @property
    def question(self) -> Question:
        """The whole simulated time, which does not begin with a business day."""
        of, cameras = self.truth.of, tuple(camera.id for camera in self.site.cameras)
        return Question(self.site.site, self.site.business_day, of.start_us, of.end_us, cameras)

    def rows(self, query: str) -> list[dict[str, Any]]:
        return self.lake.rows(query)


def simulate(root: Path, hours: float, seed: int) -> None:
    settings = EventSettings(START_US, hours, visitors=900, fps=4)
    plan = plan_with_cameras("corner-shop", 3)
    plan = replace(plan, zones=(*plan.zones, PAVEMENT))
    begins = datetime(2026, 3, 2, 12, tzinfo=ZoneInfo("Europe/Rome"))
    recordings = {camera.id: (f"simulated://{camera.id}", begins) for camera in plan.cameras}
    document = site_document(
        plan, "shop", settings.frame_hw_px, recordings,
        timezone="Europe/Rome", analysis_fps=4.0, models={"embedder": None, "segmenter": None},
    )  # fmt: skip
    document |= {"day_start": "04:00", "runtime": {"epoch_s": 3600}}
    for entry in document["zones"]:
        if entry["id"] == "pavement":
            entry |= {"kind": "outside", "min_dwell_s": 0}
    root.mkdir()
    write_site(root / "site.yaml", document)
    site = load_site(root / "site.yaml")
    of_lake = SiteOfLake(
        site.site, site.run_id(), site.config_version, json.dumps(site.settings()), site.business_day,
        {line.id: line.camera for line in site.lines},
    )  # fmt: skip
    write_lake(plan, settings, of_lake, seed=seed, lake=root / "lake", truth=root / "truth", command="test")
    assert yaml.safe_load((root / "site.yaml").read_text())["site"] == "shop"
    assert site.day_start == time(4)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("metrics") / "store"
    simulate(root, 1.6, seed=5)
    return root


@pytest.fixture(scope="session")
def store(simulated: Path) -> Iterator[Store]:
    with open_lake(simulated / "lake") as lake:
        yield Store(simulated, lake, load_site(simulated / "site.yaml"), read_truth(simulated / "truth"))
