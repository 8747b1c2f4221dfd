"""Who passes by and who comes in: walks in front of a door, one by one, and a simulated street."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from retail_ray.config_file import load_site
from retail_ray.core.errors import QueryError
from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow, ZoneVisit
from retail_ray.core.retail_records import Journey
from retail_ray.core.time import US_PER_S, BusinessDay, to_us
from retail_ray.lake.codecs import Record, RowContext, SiteRow
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.metric_answers import ask
from retail_ray.lake.questions import Question
from retail_ray.lake.views import open_lake
from retail_ray.runtime.build_site import build_journey_host
from retail_ray.runtime.plan import RunPlan
from tests.metrics.conftest import Store

START_US = to_us(datetime(2026, 3, 2, 10, tzinfo=UTC))
DAY = BusinessDay("UTC", time(0))
NAN = float("nan")
Walk = list[tuple[str, float, float]]


def at_us(second: float) -> int:
    return START_US + round(second * US_PER_S)


class Door:
    """Rows of people in front of a door. Each tracklet is somebody's; identity None: nobody was recognised."""

    def __init__(self, kinds: dict[str, str] | None = None) -> None:
        self.tables: dict[str, list[Record]] = defaultdict(list)
        kinds = kinds or {"pavement": "outside", "shelf": "customer"}
        settings = {"zones": [{"id": name, "kind": kind} for name, kind in kinds.items()]}
        self.tables["sites"] = [SiteRow(START_US, "shop", "UTC", "00:00", json.dumps(settings))]
        self._known: set[int] = set()

    def tracklet(self, local_id: int, walk: Walk, identity: int | None = None, *, staff: bool = False) -> None:
        """walk: (zone, from, until) in seconds, ("in" | "out" | "turned", at, at) for a crossing of the line."""
        for what, since, until in walk:
            if what in ("in", "out", "turned"):
                way = "out" if what == "out" else "in"
                crossing = LineCrossing("door", "c", local_id, at_us(since), way, what == "turned")  # type: ignore[arg-type]
                self.tables["line_crossings"].append(crossing)
            else:
                stay = ZoneVisit(what, "c", local_id, at_us(since), at_us(until), until - since, 0.0, False)
                self.tables["zone_visits"].append(stay)
        if identity is not None:
            kind = "assign" if identity in self._known else "create"
            self._known.add(identity)
            number = len(self.tables["identity_events"])
            self.tables["identity_events"].append(
                IdentityEvent(START_US, number, kind, "s1", identity, None, "c", local_id, NAN, NAN, "")  # type: ignore[arg-type]
            )
            if staff:
                self.tables["journeys"].append(
                    Journey(f"j{identity}", "s1", identity, at_us(0), at_us(1), True, (), NAN, None, None, None, 0.9)
                )

    def rate(self, root: Path, staff: str = "include") -> tuple[float | int | None, ...]:
        """(entries, passers-by, rate)."""
        context = RowContext("shop", "r1", "c1")
        stage, entries = Stage(root, context, "site", DAY), []
        for table, rows in self.tables.items():
            entries += stage.write_records(table, rows, 0)
        publish(root, context, 0, entries)
        question = Question("shop", DAY, START_US, at_us(4 * 3600))
        with open_lake(root) as lake:
            (row,) = ask(lake, question, "capture_rate", staff=staff)  # type: ignore[arg-type]
        return tuple(row.values.values())


CASES: dict[str, tuple[list[tuple[int, Walk, int | None]], tuple[int, int]]] = {
    "one passes": ([(1, [("pavement", 0, 8)], None)], (0, 1)),
    "one comes in": ([(1, [("pavement", 0, 8), ("in", 9, 9)], None)], (1, 1)),
    "one comes in and was not seen before": ([(1, [("in", 9, 9)], None)], (1, 1)),
    "one leaves": ([(1, [("out", 9, 9), ("pavement", 9, 15)], None)], (0, 0)),
    "one comes in and leaves much later": (
        [(1, [("pavement", 0, 8), ("in", 8, 8)], 1), (2, [("out", 900, 900), ("pavement", 900, 905)], 1)], (1, 1),
    ),
    "one stops at the window twice, then passes on": ([(1, [("pavement", 0, 8), ("pavement", 50, 60)], None)], (0, 1)),
    "one passes twice": ([(1, [("pavement", 0, 8), ("pavement", 600, 608)], 1)], (0, 2)),
    "one turns back in the door": ([(1, [("pavement", 0, 8), ("turned", 8, 8), ("pavement", 10, 15)], None)], (0, 1)),
    "a broken tracklet that was linked": ([(1, [("pavement", 0, 4)], 7), (2, [("pavement", 6, 9)], 7)], (0, 1)),
    "a broken tracklet of nobody known": ([(1, [("pavement", 0, 4)], None), (2, [("pavement", 6, 9)], None)], (0, 2)),
    "who comes in was linked with who stood outside": (
        [(1, [("pavement", 0, 4)], 7), (2, [("in", 9, 9)], 7)], (1, 1),
    ),
    "one waits outside, long after leaving": ([(1, [("out", 0, 0)], 1), (2, [("pavement", 300, 310)], 1)], (0, 1)),
    "a stay at a shelf is no passing": ([(1, [("shelf", 0, 8)], None)], (0, 0)),
    "two cameras see one": ([(1, [("pavement", 0, 8)], 3), (2, [("pavement", 1, 9)], 3)], (0, 1)),
    "one stays long, while another sight of it ends sooner": (
        [(1, [("pavement", 0, 100)], 3), (2, [("pavement", 5, 9)], 3), (3, [("pavement", 150, 160)], 3)], (0, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_who_passes_by(tmp_path: Path, name: str) -> None:
    walks, (entries, passers_by) = CASES[name]
    door = Door()
    for local_id, walk, identity in walks:
        door.tracklet(local_id, walk, identity)
    assert door.rate(tmp_path) == (entries, passers_by, entries / passers_by if passers_by else None)


def test_ten_pass_and_three_come_in(tmp_path: Path) -> None:
    door = Door()
    for number in range(10):
        comes_in: Walk = [("in", 100 * number + 9, 0)] if number % 4 == 0 else []
        door.tracklet(number, [("pavement", 100 * number, 100 * number + 8), *comes_in])
    assert door.rate(tmp_path) == (3, 10, 0.3)


def test_staff_that_comes_to_work_and_smokes_outside_is_left_out(tmp_path: Path) -> None:
    door = Door()
    door.tracklet(1, [("pavement", 0, 8), ("in", 8, 8)], 1, staff=True)
    door.tracklet(2, [("pavement", 600, 900)], 1)
    door.tracklet(3, [("pavement", 100, 108)], 2)
    assert door.rate(tmp_path / "raw") == (1, 3, 1 / 3)
    assert door.rate(tmp_path / "without", staff="exclude") == (0, 1, 0)


def test_without_a_zone_outside_there_is_no_rate_at_all(tmp_path: Path) -> None:
    door = Door({"shelf": "customer"})
    door.tracklet(1, [("in", 9, 9)])
    with pytest.raises(QueryError, match="no zone of kind outside; draw one in front of the door"):
        door.rate(tmp_path)


def test_stays_outside_are_no_stays_in_the_shop(tmp_path: Path) -> None:
    door = Door()
    door.tracklet(1, [("pavement", 0, 8), ("shelf", 20, 60)])
    door.rate(tmp_path)
    with open_lake(tmp_path) as lake:
        question = Question("shop", DAY, START_US, at_us(4 * 3600))
        (row,) = ask(lake, question, "zone_visits")
        assert row.values["stays"] == 1
        assert [one.group for one in ask(lake, question, "zone_visits", by=["zone"])] == [{"zone_id": "shelf"}]


def test_stays_outside_are_in_no_visit(store: Store, tmp_path: Path) -> None:
    """As a run derives visits from its rows: of a walk over the pavement to the entrance, the entrance remains."""
    plan = RunPlan(store.site.model_copy(update={"lake": str(tmp_path)}), "r1", live=False)
    stage = plan.stage("site")
    rows: dict[str, list[Record]] = {
        "tracklets": [TrackletRow("door", 1, at_us(0), at_us(60), 100, 0.9, NAN, 1, 0.5)],
        "identity_events": [IdentityEvent(at_us(1), 0, "create", "s1", 1, None, "door", 1, NAN, NAN, "")],
        "zone_visits": [
            ZoneVisit(zone, "door", 1, at_us(since), at_us(since + 8), 8.0, 0.0, False)
            for zone, since in (("pavement", 0), ("entrance", 10))
        ],
    }
    entries = [entry for table, records in rows.items() for entry in stage.write_records(table, records, 0)]
    derived = build_journey_host(plan).close_epoch(0, entries)
    (visit,) = stage.read_records("journeys", 0, derived)
    assert isinstance(visit, Journey)
    assert [stay.zone_id for stay in visit.stays] == ["entrance"]


def test_a_simulated_street(store: Store, tmp_path: Path) -> None:
    """Stays on the pavement, from the boxes that lie there; against everybody who truly walked by or came in."""
    boxes = store.rows(
        """SELECT camera_id, local_id, epoch_us(time) AS time_us FROM detections
        WHERE local_id IS NOT NULL AND floor_y_m < -0.05 AND floor_x_m BETWEEN 0 AND 10 ORDER BY ALL"""
    )
    spans: list[list[int]] = []
    names: list[tuple[str, int]] = []
    for box in boxes:
        name = (box["camera_id"], box["local_id"])
        if names and names[-1] == name and box["time_us"] - spans[-1][1] <= 1.5 * US_PER_S:
            spans[-1][1] = box["time_us"]
        else:
            names.append(name)
            spans.append([box["time_us"], box["time_us"]])
    door = Door()
    door.tables["zone_visits"] = [
        ZoneVisit("pavement", *name, since, until, (until - since) / US_PER_S, 0.0, False)
        for name, (since, until) in zip(names, spans, strict=True)
        if until - since >= US_PER_S
    ]
    for row in store.rows("SELECT *, epoch_us(time) AS time_us FROM line_crossings"):
        door.tables["line_crossings"].append(
            LineCrossing(
                "door", row["camera_id"], row["local_id"], row["time_us"], row["direction"], row["turned_back"]
            )
        )
    for number, row in enumerate(store.rows("SELECT DISTINCT camera_id, local_id, identity_id FROM tracklet_identity")):
        door.tables["identity_events"].append(
            IdentityEvent(START_US, number, "create", "s1", row["identity_id"], None, row["camera_id"],
                          row["local_id"], NAN, NAN, "")
        )  # fmt: skip
    entries, passers_by, rate = door.rate(tmp_path)
    true = store.truth.tables
    walked_by = int((true["people"]["kind"] == "passer_by").sum())
    came_in = int(((true["crossings"]["direction"] == "in") & ~true["crossings"]["turned_back"]).sum())
    turned = int(((true["crossings"]["direction"] == "in") & true["crossings"]["turned_back"]).sum())
    assert entries == pytest.approx(came_in, abs=3)
    assert passers_by == pytest.approx(walked_by + came_in + turned, rel=0.1)
    assert rate == pytest.approx(came_in / (walked_by + came_in + turned), rel=0.1)


def test_the_kind_is_read_from_the_site(store: Store) -> None:
    site = load_site(store.root / "site.yaml")
    assert [(zone.id, zone.min_dwell_s) for zone in site.zones if zone.kind == "outside"] == [("pavement", 0)]
    assert ask(store.lake, store.question, "capture_rate")
