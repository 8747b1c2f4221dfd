"""What a live run takes over: alerts left open; the count of the day is in tests/analytics/test_counting_errors.py."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from retail_ray.core.errors import LakeError
from retail_ray.core.retail_records import Alert
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.going_on import ALERT_DAYS, counted_today, open_alerts

DAY, DAY_US = BusinessDay("UTC", time(0)), 86_400_000_000
NOW_US = 40 * DAY_US


def change(time_us: int, state: str, key: str) -> Alert:
    return Alert(time_us, key, state, "info", key, None, None, None, 1.0, 1.0, "")  # type: ignore[arg-type]


def test_open_are_those_whose_last_change_is_a_raising(tmp_path: Path) -> None:
    rows = [
        change(NOW_US - 9, "raised", "open"),
        change(NOW_US - 2 * DAY_US, "raised", "cleared-today"),
        change(NOW_US - 5, "cleared", "cleared-today"),
        change(NOW_US - 3 * DAY_US, "raised", "again"),
        change(NOW_US - 3 * DAY_US + 5, "cleared", "again"),
        change(NOW_US - 3 * DAY_US + 9, "raised", "again"),
        change(NOW_US - ALERT_DAYS * DAY_US, "raised", "too-old"),
    ]
    for run_id, some in (("live1", rows[::2]), ("live2", rows[1::2])):
        context = RowContext("shop", run_id, "c")
        publish(tmp_path, context, 0, Stage(tmp_path, context, "site", DAY).write_records("alerts", some, 0))
    assert [alert.rule_id for alert in open_alerts(tmp_path, "shop", DAY, NOW_US)] == ["again", "open"]
    assert open_alerts(tmp_path, "other", DAY, NOW_US) == []


def test_a_lake_without_rows_gives_nothing_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert counted_today(tmp_path / "none", "shop", DAY, NOW_US) is None
    folder = tmp_path / "occupancy" / f"date={DAY.date_of(NOW_US)}" / "site=shop"
    folder.mkdir(parents=True)
    (folder / "site-live1-000000.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(LakeError, match=r"site-live1-000000\.parquet: is damaged"):
        counted_today(tmp_path, "shop", DAY, NOW_US)
