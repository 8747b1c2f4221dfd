"""Days and whole months of kept sums against the facts, and the days that a statement reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.records import ZoneVisit
from retail_ray.core.retail_records import Alert, HeatCell
from retail_ray.core.time import BusinessDay
from retail_ray.lake.alerts import AlertFilter, alert_rules, alerts
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.heat import heat
from retail_ray.lake.kept_sums import on_days
from retail_ray.lake.questions import Question
from retail_ray.lake.rollup_kinds import ZONE_LENGTHS
from retail_ray.lake.views import Lake, open_lake

DAY = BusinessDay("Europe/Berlin", time(4))
FIRST, DAYS = date(2026, 3, 20), 24  # twelve days of March and twelve of April
CLOSED = {3, 9, 16}
HOUR_US = 3_600_000_000
LENGTHS = (
    "SELECT zone_id, tenths, sum(stays)::BIGINT AS n, sum(ended)::BIGINT AS e FROM parts GROUP BY ALL ORDER BY ALL"
)


def start_us(number: int) -> int:
    return DAY.start_us(FIRST + timedelta(days=number))


def fill(root: Path, epoch: int, table: str, rows: Sequence[Record]) -> None:
    stage = Stage(root, RowContext("shop-1", "r1", "c1"), "site", DAY)
    publish(root, RowContext("shop-1", "r1", "c1"), epoch, stage.write_records(table, rows, epoch))


def stays(number: int) -> list[Record]:
    return [
        ZoneVisit(zone, "door", i, at, at + 100_000 * (i % 7 + number % 3), 0.0, 0.0, i % 5 == 0)
        for zone in ("till", "bread") for i in range(30) for at in (start_us(number) + i * HOUR_US // 2,)
    ]  # fmt: skip


@pytest.fixture
def months(tmp_path: Path) -> Path:
    for number in set(range(DAYS)) - CLOSED:
        fill(tmp_path, number, "zone_visits", stays(number))
    return tmp_path


def ask(first: int, last: int, shift_us: int = 0) -> Question:
    return Question("shop-1", DAY, start_us(first) + shift_us, start_us(last + 1) + shift_us)


def kept_and_read(lake: Lake, asked: Question) -> tuple[list[object], list[object]]:
    return (
        list(lake.rollups.rows(ZONE_LENGTHS, asked, LENGTHS, asked.params)),
        list(lake.rollups.rows(ZONE_LENGTHS, asked, LENGTHS, asked.params, read_all=True)),
    )


def test_whole_months_add_up_to_the_facts(months: Path) -> None:
    with open_lake(months) as lake:
        for first, last, shift_us in [(0, 23, 0), (0, 11, 0), (3, 20, 0), (12, 23, 0), (0, 23, HOUR_US), (11, 12, 0)]:
            kept, read = kept_and_read(lake, ask(first, last, shift_us))
            assert kept == read
            assert kept
        merged = lake.cursor().execute('SELECT DISTINCT month FROM rollups."zone_lengths shop-1 by month"').fetchall()
        assert sorted(merged) == [(date(2026, 3, 1),), (date(2026, 4, 1),)]


def test_a_month_is_added_up_anew_when_one_of_its_days_changes(months: Path) -> None:
    with open_lake(months) as lake:
        before = zone_summary(lake, ask(0, 23), ("till",))[0].visits
        fill(
            months,
            90,
            "zone_visits",
            [ZoneVisit("till", "door", 99, start_us(5) + 1, start_us(5) + 2, 0.0, 0.0, False)],
        )
        fill(
            months,
            91,
            "zone_visits",
            [ZoneVisit("till", "door", 99, start_us(3) + 1, start_us(3) + 2, 0.0, 0.0, False)],
        )
        assert zone_summary(lake, ask(0, 23), ("till",))[0].visits == before + 2
        next((months / "zone_visits" / f"date={FIRST + timedelta(days=20)}").rglob("*.parquet")).unlink()
        assert zone_summary(lake, ask(0, 23), ("till",))[0].visits == before + 2 - 30
        kept, read = kept_and_read(lake, ask(0, 23))
        assert kept == read


def test_months_are_what_the_answer_comes_from(months: Path) -> None:
    """The control: a month that is made wrong makes the answer over it wrong, and no other."""
    with open_lake(months) as lake:
        right, shorter = (zone_summary(lake, ask(*days), ("till",)) for days in ((0, 23), (0, 7)))
        lake.cursor().execute('UPDATE rollups."zone_lengths shop-1 by month" SET stays = stays + 1000')
        assert zone_summary(lake, ask(0, 23), ("till",)) != right
        assert zone_summary(lake, ask(0, 7), ("till",)) == shorter


@settings(max_examples=40, deadline=None)
@given(chosen=st.sets(st.integers(0, 40)), among=st.none() | st.sets(st.integers(0, 40)))
def test_days_in_a_row_are_the_same_days(chosen: set[int], among: set[int] | None) -> None:
    """Of all days where no others are named; else of those that there are."""
    there = set(range(42)) if among is None else among | chosen
    days = {number: FIRST + timedelta(days=number) for number in range(42)}
    rows = (
        " UNION ALL ".join(f"SELECT DATE '{days[number]}' AS date" for number in there) or "SELECT NULL::DATE AS date"
    )
    condition = on_days([days[n] for n in chosen], () if among is None else [days[n] for n in there])
    found = duckdb.connect().execute(f"SELECT date FROM ({rows}) WHERE {condition}").fetchall()
    assert {row[0] for row in found} == {days[number] for number in chosen}


def test_a_statement_about_some_days_reads_no_others(months: Path) -> None:
    """What is about other days, it does not see; the views are as they were."""
    count = "SELECT count(*)::BIGINT AS rows FROM zone_visits"
    with open_lake(months) as lake:
        assert lake.rows(count, of=("shop-1", [FIRST, FIRST + timedelta(days=3)]))[0]["rows"] == 60
        assert lake.rows(count, of=("elsewhere", [FIRST]))[0]["rows"] == 0
        recursive = f"WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 3) {count}, n"
        assert lake.rows(recursive, of=("shop-1", [FIRST]))[0]["rows"] == 180
        assert lake.rows(count)[0]["rows"] == 60 * (DAYS - len(CLOSED))


def cells(number: int) -> list[HeatCell]:
    """Of each hour some squares, with presence that no binary number has."""
    return [
        HeatCell(start_us(number) + hour * HOUR_US, x * 0.5, hour % 3 * 0.5, 0.5, 0.1 * (hour + 1) + number / 3, 1 + x)
        for hour in range(24) for x in range(hour % 4)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    for number in range(DAYS):
        fill(root, number, "heat", cells(number))
    return root


@settings(max_examples=15, deadline=None)
@given(hours=st.tuples(st.integers(-30, DAYS * 24), st.integers(-30, DAYS * 24)), off_us=st.sampled_from([0, 1, 777]))
def test_heat_of_kept_days_is_what_the_hours_say(warm: Path, hours: tuple[int, int], off_us: int) -> None:
    begin, end = start_us(0) + min(hours) * HOUR_US + off_us, start_us(0) + (max(hours) + 1) * HOUR_US
    first = DAY.start_us(DAY.date_of(begin))
    expected: dict[tuple[float, float], tuple[int, int]] = {}
    for cell in (cell for number in range(DAYS) for cell in cells(number)):
        if first <= cell.time_us < end and cell.time_us > begin - HOUR_US:
            us, people = expected.get((cell.x0_m, cell.y0_m), (0, 0))
            expected[cell.x0_m, cell.y0_m] = us + round(cell.presence_s * 1e6), max(people, cell.people)
    with open_lake(warm) as lake:
        asked = Question("shop-1", DAY, begin, end)
        for _ in ("from the facts, and some days kept", "all days kept"):
            squares = [square for grid in heat(lake, asked) for square in grid.squares]
            assert {(one.x0_m, one.y0_m): (one.presence_s, one.people) for one in squares} == {
                place: (us / 1e6, people) for place, (us, people) in expected.items()
            }
            heat(lake, ask(0, DAYS - 1))


def alert(number: int, hour: int, state: str, key: str) -> Alert:
    return Alert(
        start_us(number) + hour * HOUR_US,
        "full",
        state,
        "warning",
        key,
        "till",
        None,
        None,
        9.0,
        5.0,
        f"{key} {state}",  # type: ignore[arg-type]
    )


def test_alerts_run_over_days_and_change_with_late_files(tmp_path: Path) -> None:
    for number, rows in {
        0: [alert(0, 1, "raised", "a"), alert(0, 2, "raised", "b")],
        1: [alert(1, 1, "cleared", "a")],
        2: [alert(2, 3, "raised", "a")],
    }.items():
        fill(tmp_path, number, "alerts", rows)
    with open_lake(tmp_path) as lake:
        found, more = alerts(lake, ask(0, 2), 10)
        assert [(one.dedup_key, one.status, one.cleared_us) for one in found] == [
            ("a", "ended", None), ("b", "ended", None), ("a", "cleared", start_us(1) + HOUR_US)
        ]  # fmt: skip
        assert more is None
        assert [one.dedup_key for one in alerts(lake, ask(1, 1), 10)[0]] == ["a"]
        fill(tmp_path, 3, "alerts", [alert(3, 1, "cleared", "b")])
        assert [one.dedup_key for one in alerts(lake, ask(1, 1), 10)[0]] == ["b", "a"]
        rules = alert_rules(lake, ask(0, 2), AlertFilter(status="cleared"))
        assert [(rule.alerts, rule.open_s) for rule in rules] == [(2, 24 * 3600 * 4 - 3600)]
        page, after = alerts(lake, ask(0, 2), 2)
        assert [one.dedup_key for one in page + alerts(lake, ask(0, 2), 2, after)[0]] == ["a", "b", "a"]
        assert alerts(lake, Question("elsewhere", DAY, start_us(0), start_us(2)), 10) == ([], None)
