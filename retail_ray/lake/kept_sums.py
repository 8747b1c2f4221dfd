"""The sums of kept days in DuckDB's memory; of whole months once more, where a roll-up says how its days add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import Final

import duckdb
import pyarrow as pa

from retail_ray.lake.files import check_name
from retail_ray.lake.rollup_days import Kept

_LEAST_DAYS: Final = 8
"""A month of fewer days is no quicker than they are."""


class KeptSums:
    """The kept days of one roll-up and site. One thread at a time may use it.

    monthly: columns of the days added up without their date, as a SELECT … GROUP BY ALL takes them; empty: days do not
    add up to anything shorter.
    """

    def __init__(self, name: str, site_id: str, monthly: str, cursor: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._table = f'rollups."{name} {check_name("site", site_id)}"'
        self._months_table = f'rollups."{name} {site_id} by month"'
        self._monthly = monthly
        self._cursor = cursor
        self._merged: set[date] = set()
        self.known: dict[date, Kept] = {}

    def put(self, sums: pa.Table, days: Mapping[date, Kept]) -> None:
        """Keep the sums of some days in place of what was kept of them."""
        with self._cursor() as cursor:
            cursor.register("sums", sums)
            cursor.execute("CREATE SCHEMA IF NOT EXISTS rollups")
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {self._table} AS SELECT * FROM sums LIMIT 0")
            cursor.execute("BEGIN")
            cursor.execute(f"DELETE FROM {self._table} WHERE {on_days(days)}")
            cursor.execute(f"INSERT INTO {self._table} BY NAME SELECT * FROM sums")
            cursor.execute("COMMIT")
            cursor.unregister("sums")
        self._merged -= {_month(day) for day in days}
        self.known.update(days)

    def of_days(self, days: Collection[date]) -> str:
        """SQL: the sums of these kept days, with their dates."""
        return f"FROM {self._table} WHERE {on_days(days, self.known)}"

    def added_up(self, days: Collection[date]) -> str:
        """SQL: what adds up to the same sums."""
        months = self._whole_months(days)
        others = [day for day in days if _month(day) not in months]
        parts = [self.of_days(others)] if others or not months else []
        if months:
            self._merge(months - self._merged)
            parts.append(f"SELECT * EXCLUDE (month) FROM {self._months_table} WHERE month IN ({listed(months)})")
        return " UNION ALL BY NAME ".join(parts)

    def _whole_months(self, days: Iterable[date]) -> set[date]:
        """Months of which every kept day is asked for."""
        if not self._monthly:
            return set()
        asked, kept = Counter(map(_month, days)), Counter(map(_month, self.known))
        return {month for month, count in asked.items() if count == kept[month] and count >= _LEAST_DAYS}

    def _merge(self, months: set[date]) -> None:
        if not months:
            return
        days = [day for day in self.known if _month(day) in months]
        merged = f"SELECT date_trunc('month', date)::DATE AS month, {self._monthly} {self.of_days(days)} GROUP BY ALL"
        with self._cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {self._months_table} AS {merged} LIMIT 0")
            cursor.execute("BEGIN")
            cursor.execute(f"DELETE FROM {self._months_table} WHERE month IN ({listed(months)})")
            cursor.execute(f"INSERT INTO {self._months_table} {merged}")
            cursor.execute("COMMIT")
        self._merged |= months


def _month(day: date) -> date:
    return day.replace(day=1)


def listed(days: Iterable[date]) -> str:
    """Business days as SQL, for IN."""
    return ", ".join(f"DATE '{day.isoformat()}'" for day in days) or "NULL::DATE"


def on_days(days: Iterable[date], among: Collection[date] = ()) -> str:
    """SQL: `date` is one of these days, by the first and last of those in a row: a year of days one by one takes longer
    than its sums. among: all days that there are; without, only the next day is in a row."""
    wanted = sorted(days)
    place = (
        {day: number for number, day in enumerate(sorted(among))} if among else {day: day.toordinal() for day in wanted}
    )
    runs: list[tuple[date, date]] = []
    for day in wanted:
        if runs and place[day] == place[runs[-1][1]] + 1:
            runs[-1] = runs[-1][0], day
        else:
            runs.append((day, day))
    spans = [f"date BETWEEN DATE '{first}' AND DATE '{last}'" for first, last in runs]
    return f"({' OR '.join(spans)})" if spans else "false"
