"""What a live run takes over from the runs before it: the day's count of people inside, and open alerts.

Reads the few partitions that it needs and opens no database, since a run waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from retail_ray.core.errors import LakeError
from retail_ray.core.records import LineCrossing, OccupancyRow, OccupancyStart
from retail_ray.core.retail_records import Alert
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, decode, schema_of
from retail_ray.lake.files import lake_errors

ALERT_DAYS: Final = 31


def counted_today(lake_root: Path, site_id: str, day: BusinessDay, now_us: int) -> OccupancyStart | None:
    """Counts of the business day that holds `now_us`; None where nothing is on record.

    Entries and exits are the crossings themselves, so that those of minutes without an occupancy row are in it.
    """
    today = [day.date_of(now_us)]
    found = _records(lake_root, "line_crossings", site_id, today)
    crossings = [row for row in cast("list[LineCrossing]", found) if not row.turned_back and row.time_us < now_us]
    minutes = cast("list[OccupancyRow]", _records(lake_root, "occupancy", site_id, today))
    minutes = [row for row in minutes if row.minute_us < now_us]
    if not crossings and not minutes:
        return None
    last = max(minutes, key=lambda row: row.minute_us, default=None)
    correction = 0 if last is None else last.inside - (last.entries - last.exits)
    entries = sum(crossing.direction == "in" for crossing in crossings)
    return OccupancyStart(now_us, entries, len(crossings) - entries, correction)


def open_alerts(lake_root: Path, site_id: str, day: BusinessDay, now_us: int) -> list[Alert]:
    """Alerts of the last ALERT_DAYS business days that were raised and not cleared, oldest first."""
    today = day.date_of(now_us)
    days = [today - timedelta(days=back) for back in range(ALERT_DAYS)]
    rows = cast("list[Alert]", _records(lake_root, "alerts", site_id, days))
    newest: dict[str, Alert] = {}
    for row in sorted(rows, key=lambda row: row.time_us):
        newest[row.dedup_key] = row
    return [row for row in newest.values() if row.state == "raised"]


def _records(lake_root: Path, table: str, site_id: str, days: Iterable[date]) -> list[Record]:
    found: list[Record] = []
    for day in days:
        folder = Path(lake_root) / table / f"date={day.isoformat()}" / f"site={site_id}"
        for path in sorted(folder.glob("*.parquet")):
            with lake_errors("read", path):
                found += read_rows(table, path)
    return found


def read_rows(table: str, path: Path) -> list[Record]:
    """The records of one file of the lake; LakeError where it is damaged."""
    try:
        return decode(table, pq.read_table(path, partitioning=None, columns=schema_of(table).names))
    except pa.ArrowInvalid as error:
        raise LakeError(f"{path}: is damaged: restore it or remove it ({error})") from error
