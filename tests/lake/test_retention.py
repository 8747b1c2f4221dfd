from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest

from retail_ray.core.errors import LakeError
from retail_ray.lake.check import check
from retail_ray.lake.compaction import compact
from retail_ray.lake.partitions import empty_aside
from retail_ray.lake.replacements import maintenance
from retail_ray.lake.retention import expired, first_kept_days, retain
from retail_ray.lake.views import open_lake
from tests.lake.maintained import EPOCHS_A_DAY, FIRST_DAY, SITE, all_rows, begin, files, publish_epoch, rows, write_days

KEPT = {"detections": 2, "heat": 1, "line_crossings": None}


def retained(root: Path, today: date | None = None) -> int:
    with maintenance(root):
        gone = expired(root, KEPT, today)
        retain(root, gone)
        empty_aside(root)
    return len(gone)


def days(root: Path, table: str) -> list[date]:
    with open_lake(root) as lake:
        return [row["date"] for row in lake.rows(f"SELECT DISTINCT date FROM {table} ORDER BY 1")]


@pytest.mark.parametrize("compacted_first", [False, True])
def test_whole_days_go_and_the_lake_stays_sound(tmp_path: Path, *, compacted_first: bool) -> None:
    write_days(tmp_path, 4)
    if compacted_first:
        with maintenance(tmp_path):
            compact(tmp_path)
    before = all_rows(tmp_path)
    assert retained(tmp_path) == 2 + 3
    after = all_rows(tmp_path)
    last = FIRST_DAY + timedelta(days=3)
    for table, kept in before.items():
        limit = last - timedelta(days=(KEPT.get(table) or 99) - 1)
        assert after[table] == [row for row in kept if row["date"] >= limit], table
    assert first_kept_days(tmp_path) == {(SITE, "detections"): last - timedelta(days=1), (SITE, "heat"): last}
    with maintenance(tmp_path):
        assert check(tmp_path).faults == []
    assert retained(tmp_path) == 0


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    write_days(tmp_path, 3)
    before = files(tmp_path)
    gone = expired(tmp_path, KEPT)
    assert [(item.partition.table, item.partition.day.day, item.files) for item in gone] == [
        ("detections", 2, 6),
        ("heat", 2, 3),
        ("heat", 3, 3),
    ]
    assert all(item.bytes for item in gone)
    assert files(tmp_path) == before
    assert not (tmp_path / "_retention.json").exists()


def test_the_newest_day_stays_whatever_today_is(tmp_path: Path) -> None:
    write_days(tmp_path, 2)
    retained(tmp_path, today=date(2030, 1, 1))
    assert days(tmp_path, "heat") == days(tmp_path, "detections") == [FIRST_DAY + timedelta(days=1)]
    assert len(days(tmp_path, "line_crossings")) == 2


def test_the_day_that_a_slower_run_writes_stays(tmp_path: Path) -> None:
    """A recording of last week is being analysed while the shop's cameras are live."""
    write_days(tmp_path, 4)
    begin(tmp_path, "slow", ("aisle",))
    for epoch in range(EPOCHS_A_DAY + 1):
        publish_epoch(tmp_path, epoch, "slow")
    retained(tmp_path)
    assert days(tmp_path, "heat") == [FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=3)]


def test_a_crash_in_the_middle_is_finished_next_time(tmp_path: Path) -> None:
    write_days(tmp_path, 4)
    with maintenance(tmp_path):
        gone = expired(tmp_path, KEPT)

        def stop(_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            retain(tmp_path, gone, stop)
    with maintenance(tmp_path):
        assert check(tmp_path).faults == []
    assert retained(tmp_path) == len(gone) - 1
    assert len(days(tmp_path, "detections")) == 2


@pytest.mark.parametrize(
    ("kept", "message"), [({"boxes": 7}, "no such table; it has detections"), ({"heat": 0}, "keep at least 1")]
)
def test_wrong_settings(tmp_path: Path, kept: dict[str, int], message: str) -> None:
    write_days(tmp_path, 1)
    with pytest.raises(LakeError, match=message):
        expired(tmp_path, kept)


def test_a_reader_that_was_listing_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_days(tmp_path, 3)
    with open_lake(tmp_path) as lake:
        refresh, left = lake._refresh, [1]

        def disturbed(tables: Iterable[str]) -> None:
            refresh(tables)
            if left:
                left.pop()
                retained(tmp_path)

        monkeypatch.setattr(lake, "_refresh", disturbed)
        assert len(rows(lake, "heat")["heat"]) == EPOCHS_A_DAY
