"""Imports sales of tills into a lake and joins them with the visits that were served.

A file's rows become `transactions`, which nothing changes any more. Who they belong to is derived: every import, and
every later `rejoin`, writes the touched business days anew into `conversions` under the next version.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from retail_ray.analytics.till_clock import ANY_LANE, ClockSettings, Paid, join
from retail_ray.config import Site
from retail_ray.core.errors import LakeError
from retail_ray.core.retail_records import Conversion, Transaction
from retail_ray.core.time import US_PER_S
from retail_ray.lake.pos_file import BrokenRow, PosFile
from retail_ray.lake.transactions import (
    Service,
    next_version,
    one_import,
    publish_import,
    services_of,
    transaction_days,
    transactions_of,
)
from retail_ray.lake.views import Lake, open_lake

Key = tuple[date, str | None, str]


@dataclass(frozen=True, slots=True)
class LaneClock:
    """One lane's till on one business day; lane_id None: transactions that name no lane. offset_s: till minus cameras;
    None where it was refused, `why` says so. joined: transactions that found their visit."""

    day: date
    lane_id: str | None
    transactions: int
    joined: int
    offset_s: float | None
    uncertainty_s: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PosImport:
    """What an import did. known: rows that were imported before. doubled: rows with an id that another row of that
    lane and day has, with other contents; ignored."""

    imported: int
    known: int
    doubled: list[BrokenRow]
    broken: list[BrokenRow]
    clocks: list[LaneClock]
    run_id: str | None

    @property
    def joined(self) -> int:
        return sum(clock.joined for clock in self.clocks)


def import_transactions(lake_root: Path, site: Site, read: PosFile, settings: ClockSettings, command: str) -> PosImport:
    """Store what is new of a file and join the business days that it touches. LakeError where there is no lake."""
    day = site.business_day
    with one_import(lake_root, site.site), open_lake(lake_root) as lake:
        days = sorted({day.date_of(row.time_us) for _, row in read.transactions})
        stored = transactions_of(lake, site.site, days)
        sorted_out = _sort_out(read.transactions, stored, site)
        if not sorted_out.new:
            return PosImport(0, sorted_out.known, sorted_out.doubled, read.broken, [], None)
        touched = {day.date_of(row.time_us) for row in sorted_out.new}
        everything = [row for row in (*stored, *sorted_out.new) if day.date_of(row.time_us) in touched]
        conversions, clocks = _join_days(lake, site, everything, settings)
        run_id = publish_import(
            lake_root, site.site, site.config_version, day,
            transactions=sorted_out.new, conversions=conversions, command=command,
        )  # fmt: skip
    return PosImport(len(sorted_out.new), sorted_out.known, sorted_out.doubled, read.broken, clocks, run_id)


def rejoin(
    lake_root: Path, site: Site, settings: ClockSettings, command: str, *, first: date | None, last: date | None
) -> list[LaneClock]:
    """Join stored transactions anew, after a recount or corrected identities. LakeError where none are stored."""
    with one_import(lake_root, site.site), open_lake(lake_root) as lake:
        days = transaction_days(lake, site.site, first, last)
        if not days:
            raise LakeError(f"{lake_root}: no transactions of site '{site.site}' on these days; import a file first")
        conversions, clocks = _join_days(lake, site, transactions_of(lake, site.site, days), settings)
        publish_import(
            lake_root, site.site, site.config_version, site.business_day,
            transactions=[], conversions=conversions, command=command,
        )  # fmt: skip
    return clocks


@dataclass(slots=True)
class _SortedOut:
    new: list[Transaction] = field(default_factory=list)
    known: int = 0
    doubled: list[BrokenRow] = field(default_factory=list)


def _sort_out(rows: Sequence[tuple[int, Transaction]], stored: Iterable[Transaction], site: Site) -> _SortedOut:
    day, found = site.business_day, _SortedOut()
    known: dict[Key, Transaction] = {}

    def key_of(row: Transaction) -> Key:
        return day.date_of(row.time_us), row.lane_id, row.transaction_id

    before = {key_of(row): row for row in stored}
    for line, row in rows:
        key = key_of(row)
        other = known.get(key, before.get(key))
        if other is None:
            known[key] = row
            found.new.append(row)
        elif _same(other, row) and key in before:
            found.known += 1
        else:
            where = "in the lake already" if key in before else "in the file already"
            what = "" if _same(other, row) else ", with another time or amount"
            found.doubled.append(BrokenRow(line, f"transaction_id '{row.transaction_id}' is {where}{what}; ignored"))
    return found


def _same(one: Transaction, other: Transaction) -> bool:
    amounts = one.amount == other.amount or (math.isnan(one.amount) and math.isnan(other.amount))
    return amounts and (one.time_us, one.currency) == (other.time_us, other.currency)


def _join_days(
    lake: Lake, site: Site, transactions: Sequence[Transaction], settings: ClockSettings
) -> tuple[list[Conversion], list[LaneClock]]:
    by_day: dict[date, list[Transaction]] = defaultdict(list)
    for row in transactions:
        by_day[site.business_day.date_of(row.time_us)].append(row)
    version = next_version(lake, site.site)
    conversions: list[Conversion] = []
    clocks: list[LaneClock] = []
    for day in sorted(by_day):
        services = services_of(lake, site.site, site.business_day, day, settings.max_offset_s * 2)
        rows = sorted(by_day[day], key=lambda row: (row.time_us, row.lane_id or "", row.transaction_id))
        found, told = _join_day(day, rows, services, settings, version)
        conversions += found
        clocks += told
    return conversions, clocks


def _join_day(
    day: date, rows: Sequence[Transaction], services: Sequence[Service], settings: ClockSettings, version: int
) -> tuple[list[Conversion], list[LaneClock]]:
    lanes = {row.lane_id for row in rows} | {row.lane_id for row in services}
    names = sorted(name for name in lanes if name is not None)
    number: dict[str | None, int] = {name: place for place, name in enumerate(names)} | {None: ANY_LANE}
    lane = np.array([number[row.lane_id] for row in rows], np.int64)
    paid = Paid(np.array([row.time_us for row in rows], np.int64), lane)
    served = Paid(
        np.array([row.leave_us for row in services], np.int64),
        np.array([number[row.lane_id] for row in services], np.int64),
    )
    joined = join(paid, served, settings)
    told = list(zip(joined.offset_s.tolist(), joined.uncertainty_s.tolist(), joined.visit.tolist(), strict=True))
    conversions = [
        _conversion(row, services[visit] if visit >= 0 else None, (offset_s, uncertainty_s), version)
        for row, (offset_s, uncertainty_s, visit) in zip(rows, told, strict=True)
    ]
    clocks = []
    for name, place in number.items():
        mine = np.flatnonzero(lane == place)
        if len(mine):
            offset_s, uncertainty_s, _ = told[mine[0]]
            clocks.append(
                LaneClock(
                    day, name, len(mine), int((joined.visit[mine] >= 0).sum()),
                    None if math.isnan(offset_s) else offset_s,
                    None if math.isnan(uncertainty_s) else uncertainty_s,
                    joined.refused.get(place, ""),
                )
            )  # fmt: skip
    return conversions, clocks


def _conversion(row: Transaction, service: Service | None, clock: tuple[float, float], version: int) -> Conversion:
    offset_s, uncertainty_s = clock
    shift_us = 0 if math.isnan(offset_s) else round(offset_s * US_PER_S)
    return Conversion(
        till_us=row.time_us,
        time_us=row.time_us - shift_us,
        lane_id=row.lane_id,
        transaction_id=row.transaction_id,
        offset_s=offset_s,
        uncertainty_s=uncertainty_s,
        visit_run_id=None if service is None else service.run_id,
        visit_lane_id=None if service is None else service.lane_id,
        camera_id=None if service is None else service.camera_id,
        local_id=None if service is None else service.local_id,
        session_id=None if service is None else service.session_id,
        identity_id=None if service is None else service.identity_id,
        join_us=None if service is None else service.join_us,
        leave_us=None if service is None else service.leave_us,
        version=version,
    )
