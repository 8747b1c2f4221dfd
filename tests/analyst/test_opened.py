"""What `retail_ray.open` answers over lakes whose numbers are known by heart."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retail_ray
from retail_ray.analyst.answer import Answer
from retail_ray.analyst.opened import StoreLake
from retail_ray.analyst.survival import survival
from retail_ray.core.errors import DataError, LakeError, QueryError
from retail_ray.core.records import CoverageRow
from retail_ray.core.retail_records import HeatCell, Journey, JourneyStay, QueueMinute, QueueVisit
from retail_ray.lake.codecs import SiteRow
from tests.support.small_lake import MINUTE_US, NAN, TEN_US, full_tables, write_lake

DAY = "2026-03-02"
HOURS = (f"{DAY}T10:00", f"{DAY}T13:00")
SECOND_US = 1_000_000


def queue_visit(join_s: int, wait_s: int, outcome: str, service_s: int | None = 30) -> QueueVisit:
    joined_us = TEN_US + join_s * SECOND_US
    until_us = joined_us + wait_s * SECOND_US
    service_us, leave_us = (None, until_us) if service_s is None else (until_us, until_us + service_s * SECOND_US)
    return QueueVisit("lane-1", "hall", join_s, None, None, joined_us, service_us, leave_us, outcome)  # type: ignore[arg-type]


def journey(number: int, zones: list[str], staff: float, converted: bool | None) -> Journey:
    stays = tuple(
        JourneyStay(zone, TEN_US + n * MINUTE_US, TEN_US + (n + 1) * MINUTE_US) for n, zone in enumerate(zones)
    )
    source: Any = None if converted is None else "zone_inferred"
    return Journey(f"j{number}", "s1", number, TEN_US, TEN_US + 10 * MINUTE_US, False, stays, 0.9, converted, source,
                   None, staff)  # fmt: skip


def tables() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = full_tables()
    settings = {
        "cameras": [{"id": "door", "recorded_at": "2026-03-02T10:00:00+01:00"}, {"id": "hall"}],
        "lines": [
            {"id": "main", "camera": "door", "px": [[0, 0], [9, 0]], "inside_px": [1, 1], "m": None, "inside_m": None},
            {"id": "back", "camera": "door", "px": [[0, 5], [9, 5]], "inside_px": [1, 9], "m": None, "inside_m": None},
        ],
        "zones": json.loads(found["sites"][0].settings_json)["zones"],
        "queues": [
            {"id": "lane-1", "lane_m": [[5, 5], [5, 2]], "service_m": [[4, 1], [6, 1], [6, 2], [4, 2]]},
            {"id": "lane-2", "lane_m": [[8, 5], [8, 2]], "service_m": [[7, 1], [9, 1], [9, 2], [7, 2]]},
        ],
    }
    found["sites"] = [SiteRow(TEN_US, "The shop", "Europe/Rome", "06:00:00", json.dumps(settings))]
    found["queue_visits"] = [
        queue_visit(0, 10, "served"),
        queue_visit(60, 20, "abandoned", None),
        queue_visit(120, 30, "served"),
        queue_visit(180, 40, "censored"),  # lost while being served: the wait is known
    ]
    found["queue_metrics"] = [
        QueueMinute("lane-1", TEN_US + n * MINUTE_US, length, 1, 1, 1, 0, NAN, NAN, 60.0)
        for n, length in enumerate((10 / 60, 20 / 60, 30 / 60, 40 / 60))
    ]
    found["heat"] = [
        HeatCell(TEN_US + hour * 60 * MINUTE_US, x, 0.0, 0.5, seconds, 1)
        for hour, x, seconds in ((0, 0.0, 30.0), (1, 0.0, 15.0), (1, 0.5, 5.0))
    ]
    found["journeys"] = [
        journey(1, ["shelf", "till"], 0.1, True),
        journey(2, ["shelf"], 0.1, False),
        journey(3, [], 0.9, True),
        journey(4, [], NAN, None),
    ]
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with retail_ray.open(write_lake(tmp_path_factory.mktemp("shop") / "lake", tables())) as opened:
        yield opened


def columns(answer: Answer, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in answer.table.to_pylist()]


def test_the_package_stays_light_until_a_lake_is_opened() -> None:
    """Actors import retail_ray too."""
    heavy = "{'pyarrow', 'duckdb', 'pandas', 'matplotlib', 'ray'} & set(sys.modules)"
    check = f"import sys, retail_ray; assert not {heavy}; retail_ray.open; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", check], check=True, timeout=60)


def test_footfall_by_local_hour_with_its_coverage(shop: StoreLake) -> None:
    found = shop.footfall(by="hour", when=HOURS)
    assert columns(found, "entries", "exits", "turned_back") == [(2, 0, 1), (0, 0, 0), (1, 1, 0)]
    assert [f"{row['start']:%H:%M %Z}" for row in found.table.to_pylist()] == ["10:00 CET", "11:00 CET", "12:00 CET"]
    assert found.coverage is not None
    assert found.coverage.interval_share == pytest.approx(1.75 / 360)


def test_footfall_by_line_names_lines_that_nobody_crossed(shop: StoreLake) -> None:
    found = shop.footfall(by="line", when=DAY)
    assert columns(found, "line_id", "entries", "exits", "turned_back") == [("main", 3, 1, 1), ("back", 0, 0, 0)]


def test_dwell_is_the_formula_of_the_api_and_its_stays(shop: StoreLake) -> None:
    assert columns(shop.dwell(when=DAY), "zone_id", "visits", "censored", "median_dwell_s") == [
        ("shelf", 2, 1, 25.0),
        ("till", 0, 0, None),
    ]
    assert columns(shop.dwell("shelf", DAY, by="stay"), "dwell_s", "censored") == [(10.0, False), (40.0, True)]


def test_waits_include_those_that_never_ended(shop: StoreLake) -> None:
    """Four wait 10, 20 (gives up), 30 and 40 s: at 10 s 3/4 wait on, at 30 s half of these."""
    lane, empty = shop.queues(when=DAY).table.to_pylist()
    assert (lane["joined"], lane["served"], lane["abandoned"], lane["cut_off"]) == (4, 2, 1, 1)
    assert (lane["median_wait_s"], lane["p90_wait_s"]) == (30.0, 40.0)
    assert lane["mean_length"] == pytest.approx(100 / 240)
    assert lane["arrivals_times_wait"] == pytest.approx(lane["mean_length"])
    assert (empty["lane_id"], empty["joined"], empty["median_wait_s"], empty["mean_length"]) == (
        "lane-2",
        0,
        None,
        None,
    )


def test_conversion_leaves_staff_out_and_says_what_tells(shop: StoreLake) -> None:
    """A visit whose row says nothing, on a day whose lanes were watched, was not served."""
    assert columns(shop.conversion(DAY), "source", "visits", "converted", "unknown", "share") == [
        ("zone_inferred", 3, 1, 0, pytest.approx(1 / 3))
    ]


def test_visitors_heat_journeys_and_coverage(shop: StoreLake) -> None:
    day = shop.visitors(when=DAY).table.to_pylist()[0]
    assert (day["day"], day["visits"], day["visits_without_staff"]) == (date(2026, 3, 2), 4, 3)
    assert columns(shop.heat(DAY), "x0_m", "presence_s") == [(0.0, 45.0), (0.5, 5.0)]
    assert columns(shop.journeys(DAY, zone="till"), "journey_id", "zones") == [("j1", ["shelf", "till"])]
    assert [row["reasons"] for row in shop.coverage(DAY).table.to_pylist()] == ["", "behind"]


def test_an_answer_is_the_same_in_every_form(shop: StoreLake) -> None:
    found = shop.visitors(when=DAY)
    assert found.pandas().to_dict("list") == found.polars().to_dict(as_series=False)
    assert found.arrow().field("expected").metadata == {b"estimate": b"true"}
    assert found.arrow().field("visits").metadata is None
    shown = found._repr_html_()
    assert "≈ expected" in shown
    assert "≈ visits" not in shown
    assert "of the asked camera-minutes were analysed" in shown


def test_text_of_the_lake_cannot_become_markup(tmp_path: Path) -> None:
    found = full_tables()
    row = found["sites"][0]
    assert isinstance(row, SiteRow)
    found["sites"] = [replace(row, settings_json=json.dumps({"zones": [{"id": "<script>", "m": None}]}))]
    with retail_ray.open(write_lake(tmp_path / "lake", found)) as opened:
        assert "<script>" not in opened.dwell()._repr_html_()


@pytest.mark.parametrize(
    ("when", "first", "last"),
    [
        (DAY, "2026-03-02 05:00", "2026-03-03 05:00"),
        (date(2026, 3, 2), "2026-03-02 05:00", "2026-03-03 05:00"),
        ("2026-03", "2026-03-01 05:00", "2026-04-01 04:00"),  # clocks go forward in between
        (("2026-03-01", "2026-03-02"), "2026-03-01 05:00", "2026-03-03 05:00"),
        (HOURS, "2026-03-02 09:00", "2026-03-02 12:00"),
        ((datetime(2026, 3, 2, 10), datetime(2026, 3, 2, 11, tzinfo=UTC)), "2026-03-02 09:00", "2026-03-02 11:00"),
        (None, "2026-03-02 09:00", "2026-03-02 09:01"),
    ],
)
def test_intervals_are_the_stores_own_days_and_hours(shop: StoreLake, when: Any, first: str, last: str) -> None:
    asked = shop.question(when)
    ends = [f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M}" for us in (asked.start_us, asked.end_us)]
    assert ends == [first, last]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (f"{DAY}T10:00", "is a moment, not an interval"),
        (("2026-03-03", DAY), "it ends before it begins"),
        ((HOURS[0], HOURS[0]), "is empty"),
        ("last week", "'last week' is no time"),
        ("2026-02-30", "'2026-02-30' is no time"),
        ((DAY, DAY, DAY), "an interval has two ends, found 3"),
        (7, "7 is no time"),
    ],
)
def test_wrong_intervals_say_what_to_give(shop: StoreLake, when: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        shop.footfall(when=when)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda lake: lake.dwell("wine"), "there is no zone 'wine' here; known: shelf, till"),
        (lambda lake: lake.queues(lane="9"), "no checkout lane '9' here; known: lane-1, lane-2"),
        (lambda lake: lake.footfall(line="side"), "no counting line 'side' here; known: main, back"),
        (lambda lake: lake.footfall(by="week"), "by='week' is not possible here; give minute, hour, day, line"),
        (lambda lake: lake.sql("DROP VIEW heat"), "only SELECT"),
        (lambda lake: lake.footfall(by="minute", when="2026-03"), "more than 1500 minutes"),
        (lambda lake: retail_ray.open(lake.root, site="other"), "no store 'other' here; known: shop"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(shop: StoreLake, ask: Any, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        ask(shop)


def test_no_lake_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake here"):
        retail_ray.open(tmp_path / "nowhere")
    with pytest.raises(LakeError, match="no run has committed anything yet"):
        retail_ray.open(tmp_path)


def test_values_are_bound_and_never_written_into_the_question(shop: StoreLake) -> None:
    evil = "door' OR true --"
    asked = "SELECT count(*) AS n FROM coverage WHERE camera_id = $camera"
    assert [shop.sql(asked, camera=name).table["n"].to_pylist() for name in ("door", evil)] == [[1], [0]]


def test_little_coverage_is_not_hidden(tmp_path: Path) -> None:
    found = full_tables() | {"coverage": [CoverageRow("door", TEN_US, 600, 60, 540, "down")]}
    with retail_ray.open(write_lake(tmp_path / "lake", found)) as opened:
        assert "10.0% of the asked camera-minutes" in repr(opened.footfall())


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=40))
def test_without_cuts_survival_is_the_plain_share(stays: list[tuple[int, bool]]) -> None:
    length_s = np.array([float(length) for length, _ in stays])
    curve = survival(length_s, np.ones(len(stays), np.bool_))
    assert curve.share == pytest.approx([(length_s > at).mean() for at in curve.at_s])
    cut = survival(length_s, np.array([ended for _, ended in stays]))
    assert ((cut.low <= cut.share + 1e-12) & (cut.share <= cut.high + 1e-12)).all()
    assert (np.diff(cut.share) <= 0).all()


def test_survival_of_a_published_example() -> None:
    """Freireich et al., Blood 21 (1963): weeks in remission under 6-MP; the estimate of every textbook."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    relapsed = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    curve = survival(np.array(weeks, np.float64), np.array(relapsed, np.bool_))
    assert curve.at_s.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.share == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=6e-4)
    assert curve.quantile_s(0.5) == 23
    assert curve.quantile_s(0.9) is None
    with pytest.raises(DataError, match="not negative"):
        survival(np.array([-1.0]), np.array([True]))
