"""Answers of the registry: `ask` for any metric, cut by time and grouped, with the coverage of every row."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, from_us, minute_of
from retail_ray.lake.metric_sources import OUTSIDE, SOURCES
from retail_ray.lake.metric_types import COLUMNS_OF, TIME_GROUPS, Group, Metric, Staff
from retail_ray.lake.metrics import metric
from retail_ray.lake.questions import Grain, Question, bucket_shares, bucket_starts, coverage
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.survival import survival_tables
from retail_ray.lake.views import Lake
from retail_ray.lake.visitors import unique_visitors

MAX_ROWS: Final = 50_000

_Label = tuple[tuple[str, str | int], ...]
_Found = dict[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of an answer.

    start_us, end_us: its bucket, or the whole interval. group: what it is grouped by, by column. values: by name, None
    where there is none. interval_share: mean over its camera-minutes of the share analysed; see Coverage.
    """

    start_us: int
    end_us: int
    group: dict[str, str | int | float]
    values: dict[str, float | int | None]
    interval_share: float | None


def ask(
    lake: Lake,
    question: Question,
    metric_id: str,
    *,
    by: Sequence[Group] = (),
    grain: Grain | None = None,
    staff: Staff = "include",
) -> list[MetricRow]:
    """Rows of a metric, in order of time and group.

    grain: one row per minute, local hour or business day. by: one row per line, zone, lane, camera, square, hour of
    the day, business day or weekday (1 = Monday). Neither: one row. Where nothing happened the counts are 0, for every
    bucket and every group that has rows elsewhere in the interval. QueryError where the metric cannot be asked for so.
    """
    found = metric(metric_id)
    if grain is None and not set(by) & set(TIME_GROUPS):
        grain = found.default_grain
    asked = _Asked(found, tuple(by), grain, staff)
    cells = _Cells.of(question, asked)
    counted = _people(lake, question, asked, cells) if found.source is None else _counted(lake, question, asked, cells)
    return _rows(lake, question, asked, cells, counted)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A metric and how it is asked for. QueryError where it cannot be."""

    metric: Metric
    by: tuple[Group, ...]
    grain: Grain | None
    staff: Staff

    def __post_init__(self) -> None:
        self._check_groups()
        metric, what = self.metric, f"metric '{self.metric.id}'"
        if self.grain is not None and self.grain not in metric.grains:
            raise QueryError(f"{what} has no grain '{self.grain}', but {', '.join(metric.grains)}")
        if self.grain is not None and self.times:
            raise QueryError(f"{what}: give either a grain or one of {', '.join(TIME_GROUPS)} to group by, not both")
        if self.staff not in get_args(Staff):
            raise QueryError(f"{what}: staff is 'include' or 'exclude', found '{self.staff}'")
        if self.staff == "exclude" and not metric.staff:
            raise QueryError(f"{what} is not told by person, so staff cannot be left out: ask with staff=include")

    def _check_groups(self) -> None:
        what = f"metric '{self.metric.id}'"
        for group in self.by:
            if group not in self.metric.groups:
                raise QueryError(f"{what} cannot be grouped by '{group}', but by {', '.join(self.metric.groups)}")
        if len(set(self.by)) < len(self.by):
            raise QueryError(f"{what}: a group is named twice in {', '.join(self.by)}")

    @property
    def times(self) -> list[Group]:
        return [group for group in self.by if group in TIME_GROUPS]

    @property
    def columns(self) -> list[str]:
        return [*_columns(self.by), *self.metric.always]


def sql_of(asked: Metric, by: Sequence[Group] = (), staff: Staff = "include") -> str:
    """The SQL behind an answer: parameters are the Question's, $starts of the pieces of time and $cells, the row of
    each piece; empty for a metric that Python computes."""
    if asked.source is None:
        return ""
    tables, rows = SOURCES[asked.source].parts(without_staff=staff == "exclude")
    keys = ["cell", *_columns(by), *asked.always]
    tables += [
        f"source AS (\n    {rows}\n)",
        "placed AS (\n    SELECT source.*, bucket.cell FROM source\n    ASOF JOIN (SELECT unnest($starts::BIGINT[]) AS "
        "start_us, unnest($cells::BIGINT[]) AS cell) bucket ON at_us >= bucket.start_us\n)",
    ]
    values = [f"{value.sql} AS {value.name}" for value in asked.values if value.sql]
    joined = ""
    if asked.survival is not None:
        tables.append(
            survival_tables("placed", keys, asked.survival.length, asked.survival.ended, asked.survival.shares)
        )
        values += [f"any_value({name}) AS {name}" for name in asked.survival.shares]
        joined = f" LEFT JOIN estimates USING ({', '.join(keys)})"
    columns = ", ".join(keys)
    text = "WITH " + ",\n".join(tables) + f"\nSELECT {columns},\n    " + ",\n    ".join(values)
    return re.sub(r" +$", "", f"{text}\nFROM placed{joined} GROUP BY {columns}", flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Cells:
    """How the interval is cut. starts: of the pieces. cell_of: the row that each piece belongs to. labels: of each
    row, what it is called. spans: of each row, [start, end) of its bucket, or of the interval."""

    starts: list[int]
    cell_of: list[int]
    labels: list[_Label]
    spans: list[tuple[int, int]]

    @classmethod
    def of(cls, question: Question, asked: _Asked) -> _Cells:
        grain, times = asked.grain, asked.times
        whole = (question.start_us, question.end_us)
        if grain is not None:
            starts = bucket_starts(question, grain)
            spans = list(pairwise([*starts, question.end_us]))
            return cls(starts, list(range(len(starts))), [()] * len(starts), spans)
        if not times:
            return cls([question.start_us], [0], [()], [whole])
        starts = bucket_starts(question, "day")
        if "hour" in times:
            days = [
                replace(question, start_us=start, end_us=end) for start, end in pairwise([*starts, question.end_us])
            ]
            starts = [start for day in days for start in bucket_starts(day, "hour")]
        names: list[_Label] = [
            tuple((str(group), _name(group, start, question)) for group in times) for start in starts
        ]
        labels = sorted(set(names))
        cell = {label: number for number, label in enumerate(labels)}
        return cls(starts, [cell[name] for name in names], labels, [whole] * len(labels))

    def shares(self, lake: Lake, question: Question, cameras: int) -> list[float | None]:
        """interval_share of each row."""
        starts = [minute_of(self.starts[0]), *self.starts[1:]]
        analysed: dict[int, float] = defaultdict(float)
        minutes: dict[int, int] = defaultdict(int)
        of_pieces = bucket_shares(lake, question, self.starts, cameras)
        for cell, (start, end), share in zip(
            self.cell_of, pairwise([*starts, question.end_us]), of_pieces, strict=True
        ):
            length = -(-(end - start) // US_PER_MINUTE)
            minutes[cell] += length
            analysed[cell] += length * (share or 0.0)
        cells = range(len(self.labels))
        return [round(analysed[cell] / minutes[cell], 9) if cameras and minutes[cell] else None for cell in cells]


def _name(group: Group, start_us: int, question: Question) -> str | int:
    if group == "hour":
        return from_us(start_us).astimezone(ZoneInfo(question.day.timezone)).hour
    day = question.day.date_of(start_us)
    return day.isoformat() if group == "day" else day.isoweekday()


def _columns(by: Iterable[Group]) -> list[str]:
    return [column for group in by for column in COLUMNS_OF.get(group, ())]


def _counted(lake: Lake, question: Question, asked: _Asked, cells: _Cells) -> _Found:
    if asked.metric.source == "door":
        _require_outside(lake, question)
    query = sql_of(asked.metric, asked.by, asked.staff)
    params = question.params | {"staff_from": STAFF_FROM, "starts": cells.starts, "cells": cells.cell_of}
    named = set(re.findall(r"\$(\w+)", query))
    rows = lake.rows(
        query, {name: value for name, value in params.items() if name in named}, question.site_days(beside=1)
    )
    keys = ["cell", *asked.columns]
    return {tuple(row.pop(key) for key in keys): row for row in rows}


def _require_outside(lake: Lake, question: Question) -> None:
    """Without a zone before the door everybody who is seen there comes in: no rate at all is better than 100 %."""
    rows = lake.rows(f"WITH {OUTSIDE} SELECT count(*) AS zones FROM outside", {"site": question.site_id})
    if not rows[0]["zones"]:
        raise QueryError(
            f"metric 'capture_rate': site '{question.site_id}' has recorded no zone of kind outside; draw one in front "
            "of the door in the site's file, and run or recount"
        )


def _people(lake: Lake, question: Question, asked: _Asked, cells: _Cells) -> _Found:
    days = {question.day.date_of(start): cell for start, cell in zip(cells.starts, cells.cell_of, strict=True)}
    found: _Found = {}
    for row in unique_visitors(lake, question, staff_from=STAFF_FROM if asked.staff == "exclude" else None):
        if row.day in days:
            people = row.people
            found[(days[row.day],)] = {
                "visitors": row.visitors, "expected": people.expected, "low": people.low, "high": people.high,
            }  # fmt: skip
    return found


def _rows(lake: Lake, question: Question, asked: _Asked, cells: _Cells, found: _Found) -> list[MetricRow]:
    rows = []
    shares = _shares(lake, question, asked, cells, found)
    for cell, *names in _all_keys(asked, cells, found):
        (start_us, end_us), group = cells.spans[cell], dict(zip(asked.columns, names, strict=True))
        values = found.get((cell, *names), {})
        rows.append(
            MetricRow(
                start_us,
                end_us,
                dict(cells.labels[cell]) | group,
                {value.name: values.get(value.name, value.empty) for value in asked.metric.values},
                shares[group.get("camera_id")][cell],
            )
        )
    return rows


def _all_keys(asked: _Asked, cells: _Cells, found: _Found) -> list[tuple[Any, ...]]:
    """Every row of time with every group that occurs; squares of the floor only where somebody was."""
    groups = sorted({key[1:] for key in found}) if asked.columns else [()]
    sparse = "cell" in asked.by
    if (len(found) if sparse else len(groups) * len(cells.labels)) > MAX_ROWS:
        raise QueryError(
            f"metric '{asked.metric.id}': more than {MAX_ROWS} rows; ask for a shorter interval or fewer groups"
        )
    return sorted(found) if sparse else [(cell, *group) for cell in range(len(cells.labels)) for group in groups]


def _shares(
    lake: Lake, question: Question, asked: _Asked, cells: _Cells, found: _Found
) -> dict[str | None, list[float | None]]:
    """interval_share of each row of time: of all cameras together, and of each one that rows are about."""
    known = coverage(lake, question).cameras
    shares: dict[str | None, list[float | None]] = {None: cells.shares(lake, question, len(known))}
    if "camera_id" in asked.columns:
        place = 1 + asked.columns.index("camera_id")
        for camera_id in sorted({key[place] for key in found}):
            shares[camera_id] = cells.shares(lake, replace(question, camera_id=camera_id), 1)
    return shares
