from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.records import CoverageRow, IdentityEvent, LineCrossing, TrackletRow, ZoneVisit
from retail_ray.core.retail_records import Journey
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.headcount import headcount
from retail_ray.lake.journeys import journey_summary, journeys
from retail_ray.lake.listing import Listing, tables_behind
from retail_ray.lake.queries import footfall, stats, tracks, zone_visits
from retail_ray.lake.questions import Question, coverage, days_on_record
from retail_ray.lake.rollup_files import rollup_file
from retail_ray.lake.rollup_kinds import ALERTS, HEAT, crossings, kinds
from retail_ray.lake.views import Lake, open_lake

DAY = BusinessDay("Europe/Berlin", time(4))
FIRST = date(2026, 3, 27)  # clocks are put forward on the 29th
DAYS = 5
HOUR_US, MINUTE_US = 3_600_000_000, 60_000_000
START_US, END_US = DAY.start_us(FIRST), DAY.start_us(FIRST + timedelta(days=DAYS))
NAN = float("nan")


def fill(root: Path, epoch: int, run: str = "r1", **tables: Sequence[Record]) -> None:
    context = RowContext("shop-1", run, "c1")
    stage = Stage(root, context, "site", DAY)
    publish(
        root, context, epoch, [e for table, rows in tables.items() for e in stage.write_records(table, rows, epoch)]
    )


def day_of_rows(number: int) -> dict[str, list[Record]]:
    """One business day: a person every quarter of an hour, some crossing midnight and the day's end."""
    begin = DAY.start_us(FIRST + timedelta(days=number))
    session, sequence = f"s{number}", 1000 * number
    tables: dict[str, list[Record]] = {name: [] for name in (
        "tracklets", "identity_events", "line_crossings", "zone_visits", "journeys", "coverage"
    )}  # fmt: skip
    tables["identity_events"].append(
        IdentityEvent(begin, sequence, "session", session, None, None, None, None, NAN, NAN, "", NAN)
    )
    for i in range(90):
        at, local_id, who = begin + i * 15 * MINUTE_US + i * 7_000_001, 1000 * number + i, i % 40
        length = (i % 9 + 1) * 100_000_003
        tables["tracklets"].append(TrackletRow("door", local_id, at, at + length, 9, 0.5, NAN, 1, 0.5))
        if i % 10 != 3:
            kind = "create" if i < 40 else "assign"
            tables["identity_events"].append(
                IdentityEvent(at, sequence + i + 1, kind, session, who, None, "door", local_id, 1.0, 1.0, "", 0.9)
            )
        tables["line_crossings"].append(
            LineCrossing("main" if i % 3 else "back", "door", local_id, at, "in" if i % 2 else "out", i % 11 == 0)
        )
        tables["zone_visits"].append(
            ZoneVisit("till" if i % 2 else "bread", "door", local_id, at, at + length, length / 1e6, 0.0, i % 7 == 0)
        )
        tables["journeys"].append(
            Journey(f"j{number}-{i}", session, who, at, at + length, i % 5 == 0, (), 0.9, None, None, i // 4 + 1,
                    0.9 if i % 13 == 0 else 0.1, number)
        )  # fmt: skip
        tables["coverage"].append(
            CoverageRow(
                "door", at - at % MINUTE_US, 600 if i % 4 else 601, 590 + i % 20, 2, "slow" if i % 6 == 0 else ""
            )
        )
    return tables


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    for number in range(DAYS):
        fill(root, number, **day_of_rows(number))
    return root


def answers(lake: Lake, asked: Question) -> list[object]:
    return [
        stats(lake, asked), footfall(lake, asked, "hour"), footfall(lake, asked, "day", "main"), coverage(lake, asked),
        zone_summary(lake, asked, ("till", "bread", "nowhere")), headcount(lake, asked), journey_summary(lake, asked),
    ]  # fmt: skip


def ask(start_us: int = START_US, end_us: int = END_US) -> Question:
    return Question("shop-1", DAY, start_us, end_us, ("door",))


def moments() -> st.SearchStrategy[int]:
    """Anywhere, at starts of days, and beside them."""
    bounds = [DAY.start_us(FIRST + timedelta(days=number)) for number in range(DAYS + 1)]
    return st.one_of(
        st.sampled_from(bounds),
        st.sampled_from(bounds).flatmap(lambda at: st.integers(at - 2, at + 2)),
        st.integers(START_US - HOUR_US, END_US + HOUR_US),
    )


@settings(max_examples=12, deadline=None)
@given(ends=st.tuples(moments(), moments()).filter(lambda ends: ends[0] != ends[1]))
def test_kept_days_answer_as_the_facts_do(week: Path, ends: tuple[int, int]) -> None:
    asked = ask(min(ends), max(ends))
    rows = [row for number in range(DAYS) for row in day_of_rows(number)["line_crossings"]]
    inside = [row for row in rows if asked.start_us <= row.time_us < asked.end_us]  # type: ignore[union-attr]
    with open_lake(week) as lake:
        found = answers(lake, asked)
        entries = Counter(row.line_id for row in inside if row.direction == "in" and not row.turned_back)  # type: ignore[union-attr]
        assert {
            line.line_id: line.total.entries for line in footfall(lake, asked).lines if line.total.entries
        } == entries
        plain = lake.rows(
            """SELECT count(*) AS tracklets, count(DISTINCT (run_id, session_id, identity_id))
                   FILTER (identity_id IS NOT NULL) AS identities
            FROM tracklets LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id)
            WHERE first_time < make_timestamptz($end_us) AND last_time >= make_timestamptz($start_us)""",
            {"start_us": asked.start_us, "end_us": asked.end_us},
        )[0]
        assert (found[0].tracklets, found[0].identities) == (plain["tracklets"], plain["identities"])  # type: ignore[attr-defined]
        dwell = lake.rows(
            """SELECT count(*) AS visits, quantile_cont(round(dwell_s, 1), 0.9) AS p90 FROM zone_visits
            WHERE zone_id = 'till' AND enter_time >= make_timestamptz($start_us)
              AND enter_time < make_timestamptz($end_us)""",
            {"start_us": asked.start_us, "end_us": asked.end_us},
        )[0]
        till = found[4][0]  # type: ignore[index]
        assert till.visits == dwell["visits"]
        assert till.p90_dwell_s == (None if dwell["p90"] is None else pytest.approx(dwell["p90"]))
        answers(lake, ask())  # more days are kept now
        assert answers(lake, asked) == found


def test_only_days_that_lie_inside_are_taken_as_kept(week: Path) -> None:
    """The control: kept days are used, so a kept day that is made wrong makes the answer wrong."""
    with open_lake(week) as lake:
        right = stats(lake, ask()).crossings
        with lake.cursor() as cursor:
            cursor.execute(
                "UPDATE rollups.\"crossing_slots shop-1\" SET entries = entries + 1000 WHERE date = DATE '2026-03-28'"
            )
        assert stats(lake, ask()).crossings.entries > right.entries
        second = DAY.start_us(FIRST + timedelta(days=1))
        cut = ask(second + 20 * MINUTE_US, second + 10 * HOUR_US)
        expected = lake.rollups.rows(
            crossings(), cut, "SELECT sum(entries)::BIGINT AS entries FROM parts", cut.params, read_all=True
        )[0]["entries"]
        assert 0 < expected == stats(lake, cut).crossings.entries < 1000


def test_a_new_file_a_revision_and_a_deletion_are_seen_at_once(week: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(week, root)
    with open_lake(root) as lake:
        before = stats(lake, ask())
        late = START_US + 5 * HOUR_US
        fill(root, 90, line_crossings=[LineCrossing("main", "door", 7, late, "in", turned_back=False)])
        after = stats(lake, ask())
        assert after.crossings.entries == before.crossings.entries + 1
        merge = IdentityEvent(late, 9_000, "merge", "s0", 1, 2, None, None, 1.0, 1.0, "", 0.9)
        fill(root, 91, identity_events=[merge])
        assert stats(lake, ask()).identities == before.identities - 1
        gone = next((root / "zone_visits" / f"date={FIRST + timedelta(days=2)}").rglob("*.parquet"))
        gone.unlink()
        assert stats(lake, ask()).zone_visits == before.zone_visits - 90


def test_a_session_over_two_days_counts_its_people_once(tmp_path: Path) -> None:
    second = DAY.start_us(FIRST + timedelta(days=1))
    times = (second - HOUR_US, second + HOUR_US)
    tracklets = [TrackletRow("door", i + 1, at, at + 1_000_000, 9, 0.5, NAN, 1, 0.5) for i, at in enumerate(times)]
    events = [
        IdentityEvent(at, i, "assign" if i else "create", "s", 5, None, "door", i + 1, 1.0, 1.0, "", 0.9)
        for i, at in enumerate(times)
    ]
    fill(tmp_path, 0, tracklets=tracklets, identity_events=events)
    with open_lake(tmp_path) as lake:
        assert stats(lake, ask()).identities == 1
        assert stats(lake, ask(second)).identities == stats(lake, ask(end_us=second)).identities == 1


def test_pages_go_through_all_rows_once(week: Path) -> None:
    with open_lake(week) as lake:
        for question in (tracks, lambda *args: zone_visits(args[0], args[1], "till", *args[2:]), journeys):
            seen, after = [], None
            while True:
                rows, after = question(lake, ask(), 37, after)  # type: ignore[operator]
                seen += [row.key for row in rows]
                if after is None:
                    break
            assert seen == sorted(set(seen))
            assert len(seen) == (DAYS * 45 if question not in (tracks, journeys) else DAYS * 90)


def test_days_without_analysed_frames_are_not_on_record(week: Path, tmp_path: Path) -> None:
    with open_lake(week) as lake:
        assert days_on_record(lake, "shop-1") == [FIRST + timedelta(days=number) for number in range(DAYS)]
        assert days_on_record(lake, "elsewhere") == []
    fill(tmp_path, 0, coverage=[CoverageRow("door", START_US, 600, 0, 600, "down")])
    with open_lake(tmp_path) as lake:
        assert days_on_record(lake, "shop-1") == []


def test_sums_in_files_are_used_as_long_as_they_hold(week: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(week, root)
    with open_lake(root) as lake:
        assert [(lake.rollups.save(kind, "shop-1").days) for kind in kinds()] == [
            0 if kind in (ALERTS, HEAT) else DAYS for kind in kinds()
        ]
        right = answers(lake, ask())
    with open_lake(root) as lake:
        assert all(lake.rollups.save(kind, "shop-1").summed_up == 0 for kind in kinds())
        assert answers(lake, ask()) == right
        fill(root, 90, line_crossings=[LineCrossing("main", "door", 7, START_US + 1, "in", turned_back=False)])
        assert lake.rollups.save(crossings(), "shop-1").summed_up == 1
    path = rollup_file(root, "shop-1", crossings().name)
    sums = pq.read_table(path)
    entries = pc.add(sums["entries"], 1000)
    pq.write_table(sums.set_column(sums.schema.get_field_index("entries"), "entries", entries), path)
    with open_lake(root) as lake:  # the control: the file is what the answer comes from
        assert stats(lake, ask()).crossings.entries > 1000
    path.write_bytes(b"PAR1 and then nothing")
    with open_lake(root) as lake:
        assert stats(lake, ask()).crossings.entries < 1000


def test_sums_that_another_program_kept_are_not_used(week: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(week, root)
    with open_lake(root) as lake:
        right = stats(lake, ask())
        older = replace(crossings(), sql=crossings().sql.replace("AS exits", "AS went_out"))
    with open_lake(root) as lake:
        assert lake.rollups.save(older, "shop-1").summed_up == DAYS
    with open_lake(root) as lake:
        assert stats(lake, ask()) == right
        assert lake.rollups.save(crossings(), "shop-1").summed_up == 0


# --- which files there are


def test_listings_see_every_change(tmp_path: Path) -> None:
    listing = Listing(tmp_path)
    folder = tmp_path / "coverage" / "date=2026-03-02" / "site=shop-1"
    folder.mkdir(parents=True)
    key = ("2026-03-02", "shop-1")
    assert listing.partitions("coverage") == {}
    for number in range(200):  # faster than the file system's clock ticks
        (folder / f"{number}.parquet").write_bytes(b"x" * number)
        assert len(listing.partitions("coverage")[key]) == number + 1
    same = listing.partitions("coverage")
    assert listing.partitions("coverage") is same
    replacement = folder / ".draft"
    replacement.write_bytes(b"other")
    replacement.rename(folder / "0.parquet")
    assert listing.partitions("coverage")[key][0][1] == 5
    elsewhere = tmp_path / "coverage" / "date=2026-03-03" / "site=shop-2"
    elsewhere.mkdir(parents=True)
    (elsewhere / "a.parquet").write_bytes(b"")
    (elsewhere / "a.txt").write_bytes(b"")
    assert set(listing.partitions("coverage")) == {key, ("2026-03-03", "shop-2")}
    shutil.rmtree(folder)
    assert set(listing.partitions("coverage")) == {("2026-03-03", "shop-2")}


def test_the_tables_behind_a_statement() -> None:
    views = {"tracklet_identity": "FROM identity_events", "joined": "FROM tracklets JOIN tracklet_identity"}
    assert tables_behind("SELECT 1", views) == frozenset()
    assert tables_behind("FROM Joined WHERE x", views) == {"tracklets", "identity_events"}
    assert tables_behind('SELECT * FROM "coverage", sites', views) == {"coverage", "sites"}
