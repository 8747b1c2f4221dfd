"""A small lake with exact contents, a running site as a plain object, and clients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from retail_ray.api.app import create_app
from retail_ray.api.site import LiveCamera, LiveSnapshot, Named, SiteInfo
from retail_ray.core.records import CoverageRow, IdentityEvent, LineCrossing, OccupancyRow, TrackletRow, ZoneVisit
from retail_ray.core.retail_records import Journey, JourneyStay
from retail_ray.core.ticks import BufferCounts
from retail_ray.core.time import to_us
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.epochs import Stage, publish

MINUTE_US = 60_000_000
TEN_US = to_us(datetime(2026, 3, 1, 4, 30, tzinfo=UTC))  # 10:00 in Kolkata
SITE = SiteInfo(
    id="shop-1",
    name="Harbour Street",
    timezone="Asia/Kolkata",
    day_start=time(6),
    cameras=(Named("door", "Main door"), Named("till", "Tills")),
    lines=(Named("main", "Main door"), Named("back", "Back door")),
    zones=(Named("checkout", "Checkout"), Named("étagère 1/2", "Shelves")),
)


class RunningSite:
    """What the runtime gives the API, with everything said to it."""

    def __init__(self) -> None:
        self.running = True
        self.resets: list[int] = []

    def snapshot(self) -> LiveSnapshot | None:
        if not self.running:
            return None
        cameras = (
            LiveCamera("door", "running", TEN_US + 90 * MINUTE_US, 1000, 3),
            LiveCamera("till", "failed", None, 0, 0, "not found"),
        )
        return LiveSnapshot(TEN_US + 90 * MINUTE_US, 14, "s1", cameras, BufferCounts(late=5, duplicate=4, untracked=3))

    def reset_session(self, now_us: int) -> str | None:
        if not self.running:
            return None
        self.resets.append(now_us)
        return f"s{len(self.resets) + 1}"


def fill(root: Path) -> None:
    """10:00 to 12:00: entries at 10:00 (3, one turned back) and 11:00 (1); exits at 11:00 (1)."""
    crossings = [(0, "in", False), (1, "in", False), (2, "in", True), (61, "in", False), (62, "out", False)]
    tables: dict[str, list[Record]] = {
        "line_crossings": [
            LineCrossing("main", "door", i, TEN_US + minute * MINUTE_US, way, back)  # type: ignore[arg-type]
            for i, (minute, way, back) in enumerate(crossings)
        ],
        "tracklets": [
            TrackletRow("door", i, TEN_US + i * MINUTE_US, TEN_US + (i + 1) * MINUTE_US, 9, 0.5, float("nan"), 1, 0.5)
            for i in range(5)
        ],
        "identity_events": [
            IdentityEvent(TEN_US, i, "create", "s1", i, None, "door", i, float("nan"), float("nan"), "new")
            for i in range(3)
        ],
        "journeys": [
            Journey(f"s1-{i}-1", "s1", i, TEN_US + i * MINUTE_US, TEN_US + (2 * i + 1) * MINUTE_US, i == 2,
                    (JourneyStay("checkout", TEN_US + i * MINUTE_US, TEN_US + i * MINUTE_US + 9_000_000),) * (i > 0),
                    (0.9, 1.0, float("nan"))[i], None, None, (7, None, 7)[i], (0.1, 0.8, float("nan"))[i], 5)
            for i in range(3)
        ],
        "zone_visits": [
            ZoneVisit("checkout", "door", i, TEN_US + i * MINUTE_US, TEN_US + i * MINUTE_US + dwell * 1_000_000,
                      float(dwell), 0.0, cut)
            for i, (dwell, cut) in enumerate([(10, False), (20, False), (60, True)])
        ],
        "occupancy": [OccupancyRow(TEN_US, 2, 0, 2), OccupancyRow(TEN_US + 62 * MINUTE_US, 3, 1, 2)],
        "coverage": [CoverageRow("door", TEN_US + i * MINUTE_US, 600, 600, 0, "") for i in range(120)],
    }  # fmt: skip
    context = RowContext("shop-1", "r1", "c1")
    stage = Stage(root, context, "site", SITE.day)
    publish(
        root, context, 0, [entry for table, rows in tables.items() for entry in stage.write_records(table, rows, 0)]
    )


@pytest.fixture(scope="session")
def lake_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    fill(root)
    return root


@pytest.fixture(scope="session")
def site() -> SiteInfo:
    return SITE


@pytest.fixture
def running() -> RunningSite:
    return RunningSite()


@pytest.fixture
def live_client(lake_root: Path, running: RunningSite) -> Iterator[TestClient]:
    with TestClient(create_app(lake_root, SITE, running, now_us=lambda: TEN_US + 100 * MINUTE_US)) as client:
        yield client


@pytest.fixture(scope="session")
def client(lake_root: Path) -> Iterator[TestClient]:
    """Nothing runs; the clock stands at noon of the day after the recording."""
    with TestClient(create_app(lake_root, SITE, now_us=lambda: TEN_US + 26 * 60 * MINUTE_US)) as client:
        yield client


@pytest.fixture
def empty_client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(tmp_path, SITE, now_us=lambda: TEN_US)) as client:
        yield client
