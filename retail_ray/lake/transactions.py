"""Sales in the lake: what is known of them, the services they may belong to, and how an import is published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from retail_ray.core.retail_records import Conversion, Transaction
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, last_commit, publish, recover
from retail_ray.lake.runs import RunRecord, begin_run, exclusive, runs
from retail_ray.lake.views import Lake

_WRITER: Final = "pos"


@dataclass(frozen=True, slots=True)
class Service:
    """A stay in a lane that ended with being served."""

    run_id: str
    lane_id: str
    camera_id: str | None
    local_id: int | None
    session_id: str | None
    identity_id: int | None
    join_us: int
    leave_us: int


@contextmanager
def one_import(lake_root: Path, site_id: str) -> Iterator[None]:
    """Keep other imports of this site out, and remove what one that was cut off left; analysis of cameras goes on."""
    with exclusive(lake_root, f"{site_id}.{_WRITER}"):
        for run in runs(lake_root, site_id):
            if run.run_id.startswith(f"{_WRITER}.") and last_commit(lake_root, run.run_id) is None:
                recover(lake_root, run.run_id)
        yield


def transactions_of(lake: Lake, site_id: str, days: Sequence[date]) -> list[Transaction]:
    """All stored transactions of these business days, in order of time."""
    rows = lake.rows(
        """SELECT epoch_us(time) AS time_us, lane_id, transaction_id,
            coalesce(amount, 'nan'::DOUBLE) AS amount, currency
        FROM transactions WHERE site_id = $site AND list_contains($days::DATE[], date)
        ORDER BY time_us, lane_id, transaction_id""",
        {"site": site_id, "days": list(days)},
    )
    return [Transaction(**row) for row in rows]


def transaction_days(lake: Lake, site_id: str, first: date | None, last: date | None) -> list[date]:
    """Business days with transactions, from `first` to `last`, both included."""
    rows = lake.rows(
        """SELECT DISTINCT date FROM transactions WHERE site_id = $site
        AND ($first IS NULL OR date >= $first) AND ($last IS NULL OR date <= $last) ORDER BY date""",
        {"site": site_id, "first": first, "last": last},
    )
    return [row["date"] for row in rows]


def services_of(lake: Lake, site_id: str, day: BusinessDay, of: date, reach_s: float) -> list[Service]:
    """Services that ended on a business day, or within `reach_s` of it, in order of their end."""
    rows = lake.rows(
        """SELECT run_id, lane_id, camera_id, local_id, session_id, identity_id, epoch_us(join_time) AS join_us,
            epoch_us(leave_time) AS leave_us
        FROM queue_visits WHERE site_id = $site AND outcome = 'served' AND date BETWEEN $day - 1 AND $day + 1
          AND leave_time >= make_timestamptz($from_us) AND leave_time < make_timestamptz($until_us)
        ORDER BY leave_us, lane_id, join_us, run_id""",
        {
            "site": site_id,
            "day": of,
            "from_us": day.start_us(of) - round(reach_s * 1e6),
            "until_us": day.end_us(of) + round(reach_s * 1e6),
        },
    )
    return [Service(**row) for row in rows]


def next_version(lake: Lake, site_id: str) -> int:
    rows = lake.rows("SELECT max(version) AS newest FROM conversion_versions WHERE site_id = $site", {"site": site_id})
    return 1 + (rows[0]["newest"] or 0)


def publish_import(
    lake_root: Path,
    site_id: str,
    config_version: str,
    day: BusinessDay,
    *,
    transactions: Sequence[Transaction],
    conversions: Sequence[Conversion],
    command: str,
) -> str:
    """Make an import of at least one conversion visible as a whole; the id of its run.

    After a crash, importing again ends with the same rows. The run is recorded as complete from the beginning: it has
    no cameras to go on with, and a live run that starts beside it must not take it for one that crashed.
    """
    content = repr((site_id, transactions, conversions)).encode()
    run_id = f"{_WRITER}.{hashlib.sha256(content).hexdigest()[:16]}"
    times_us = [row.till_us for row in conversions]
    run = RunRecord(run_id, site_id, config_version, command, (), min(times_us), "complete", max(times_us))
    begin_run(lake_root, run)
    context = RowContext(site_id, run_id, config_version)
    stage = Stage(lake_root, context, _WRITER, day)
    entries = [
        *stage.write_records("transactions", transactions, 0),
        *stage.write_records("conversions", conversions, 0),
    ]
    publish(lake_root, context, 0, entries)
    return run_id
