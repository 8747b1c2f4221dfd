"""`retail_ray.open`: one store's lake for analysis in Python. Needs no Ray, no site file and no video."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from retail_ray.analyst import listings
from retail_ray.analyst.answer import Answer, localised, table_of
from retail_ray.analyst.interval import When, interval_us
from retail_ray.analyst.queues import LANE_COLUMNS, LANE_ESTIMATES, LANE_NOTES, lane_rows
from retail_ray.analyst.store import Store, newest_settings, read_store, require_known
from retail_ray.core.errors import QueryError
from retail_ray.core.time import from_us
from retail_ray.lake import queries
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.headcount import headcount
from retail_ray.lake.questions import Coverage, Grain, Question, coverage
from retail_ray.lake.queues import queues
from retail_ray.lake.rollup_kinds import STAFF_FROM
from retail_ray.lake.sql_guard import check_select
from retail_ray.lake.views import Lake, open_lake
from retail_ray.lake.visitors import unique_visitors

_INT, _FLOAT, _WORD, _INSTANT = pa.int64(), pa.float64(), pa.string(), pa.timestamp("us", tz="UTC")
_CROSSINGS: Final = {"entries": _INT, "exits": _INT, "turned_back": _INT}
_VISITOR_COUNTS: Final = ("people", "people_without_staff", "visits", "visits_without_staff", "parties_without_staff")
_CENSORED_NOTE: Final = "censored: cut off by the end of the track or the data, so the true length is longer."


class StoreLake:
    """The answers of one store. Every method takes `when`: "2026-03-02", ("2026-03-01", "2026-03-07"), "2026-03",
    ("2026-03-02T10:00", "2026-03-02T12:00"), dates or datetimes; without it, all that is on record.
    """

    def __init__(self, lake: Lake, store: Store) -> None:
        self._lake = lake
        self.store = store

    def __repr__(self) -> str:
        return f"lake of {self.store.name} ({self.store.site_id}, {self.store.timezone}) at {self._lake.root}"

    def __enter__(self) -> StoreLake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lake.close()

    @property
    def root(self) -> Path:
        return self._lake.root

    def sql(self, query: str, **values: Any) -> Answer:
        """One SELECT in DuckDB's SQL over the tables; `$name` takes its value from the keyword `name`."""
        check_select(query)
        return self._answer("SQL", self._lake.sql(query, values), None)

    def footfall(self, by: Grain | Literal["line"] = "hour", when: When = None, line: str | None = None) -> Answer:
        """Entries and exits by minute, local hour, business day or counting line; zeros included."""
        if line is not None:
            require_known("counting line", line, [entry.id for entry in self.store.lines])
        question = self.question(when)
        if by == "line":
            return self._footfall_by_line(question, line)
        found = queries.footfall(self._lake, question, _grain(by), line)
        rows = [
            {"start": from_us(bucket.start_us), "end": from_us(bucket.end_us)}
            | asdict(bucket.crossings)
            | {"coverage": bucket.interval_share}
            for bucket in found.buckets
        ]
        columns = {"start": _INSTANT, "end": _INSTANT} | _CROSSINGS | {"coverage": _FLOAT}
        title = f"Footfall by {by}" + (f", line {line}" if line else "")
        return self._answer(title, table_of(rows, columns), found.coverage)

    def visitors(self, when: When = None) -> Answer:
        """Different people of each business day with their 95 % range; visits, with and without staff."""
        question, lake = self.question(when), self._lake
        rows = []
        for found in unique_visitors(lake, question):
            of_day = self._clipped(question, found)
            counts = asdict(headcount(lake, of_day))
            expected = {"expected": found.people.expected, "low": found.people.low, "high": found.people.high}
            rows.append({"day": found.day} | expected | {name: counts[name] for name in _VISITOR_COUNTS})
        columns = {"day": pa.date32(), "expected": _FLOAT, "low": _INT, "high": _INT}
        return self._answer(
            "Visitors by day",
            table_of(rows, columns | dict.fromkeys(_VISITOR_COUNTS, _INT)),
            coverage(lake, question),
            (
                "expected, low, high: everybody seen long enough: staff too, and passers-by as far as seen.",
                "The other columns count journeys, as recognised.",
            ),
            frozenset({"expected", "low", "high"}),
        )

    def conversion(self, when: When = None) -> Answer:
        """Visits that bought something, staff left out, by what tells of it."""
        notes = ("pos: a transaction was found; zone_inferred: the visitor was served at a checkout; staff left out.",)
        question = self.question(when)
        table = self._listed(question, listings.CONVERSION, staff_from=STAFF_FROM)
        estimates = frozenset({"converted", "share"})
        return self._answer("Conversion of visits", table, coverage(self._lake, question), notes, estimates)

    def journeys(self, when: When = None, zone: str | None = None) -> Answer:
        """Visits that begin in the interval, with their zones in order; only those that came to `zone`, if given."""
        return self._listing("Journeys", listings.JOURNEYS, when, (_CENSORED_NOTE,), zone=self._zone(zone))

    def dwell(self, zone: str | None = None, when: When = None, by: Literal["zone", "stay"] = "zone") -> Answer:
        """How long people stayed in one zone or in each, as a summary or stay by stay."""
        name = self._zone(zone)
        if by == "stay":
            return self._listing("Stays in zones", listings.STAYS, when, (_CENSORED_NOTE,), zone=name)
        _one_of("by", by, ("zone", "stay"))
        zones = (name,) if name is not None else tuple(entry.id for entry in self.store.zones)
        question = self.question(when)
        rows = [asdict(found) for found in zone_summary(self._lake, question, zones)]
        counts = dict.fromkeys(("visits", "censored", "people"), _INT)
        lengths = ("median_dwell_s", "p90_dwell_s", "survival_median_dwell_s", "survival_p90_dwell_s")
        return self._answer(
            "Dwell by zone",
            table_of(rows, {"zone_id": _WORD} | counts | dict.fromkeys(lengths, _FLOAT)),
            coverage(self._lake, question),
            (_CENSORED_NOTE, "survival_…: Kaplan-Meier estimates that allow for stays cut off; – where too many are."),
            frozenset(lengths[2:]),
        )

    def queues(
        self, when: When = None, lane: str | None = None, by: Literal["lane", "minute", "visit"] = "lane"
    ) -> Answer:
        """Checkout lanes: a summary of each, minute by minute, or visit by visit."""
        lanes = [entry.id for entry in self.store.lanes]
        name = None if lane is None else require_known("checkout lane", lane, lanes)
        _one_of("by", by, ("lane", "minute", "visit"))
        if by == "minute":
            return self._listing("Queues by minute", listings.QUEUE_MINUTES, when, lane=name)
        if by == "visit":
            return self._listing("Visits to checkout lanes", listings.QUEUE_VISITS, when, lane=name)
        question = self.question(when)
        rows = lane_rows(queues(self._lake, question, tuple(lanes if name is None else [name])))
        found = coverage(self._lake, question)
        return self._answer("Queues by lane", table_of(rows, LANE_COLUMNS), found, LANE_NOTES, LANE_ESTIMATES)

    def heat(self, when: When = None) -> Answer:
        """Seconds of presence per square of the floor; whole local hours, those that begin in the interval."""
        return self._listing("Presence on the floor", listings.HEAT, when)

    def occupancy(self, when: When = None) -> Answer:
        """People inside, minute by minute."""
        notes = ("entries - exits since the day's start: a missed crossing stays in it until the next day.",)
        return self._listing("People inside", listings.OCCUPANCY, when, notes)

    def alerts(self, when: When = None) -> Answer:
        """Alerts that were raised and cleared."""
        return self._listing("Alerts", listings.ALERTS, when)

    def coverage(self, when: When = None) -> Answer:
        """How much of each camera's time was really analysed, and why the rest was not."""
        found = coverage(self._lake, self.question(when))
        rows = [
            {
                "camera_id": camera.camera_id,
                "coverage": camera.interval_share,
                "recorded_minutes": camera.recorded_minutes,
                "asked_minutes": camera.asked_minutes,
                "dropped_frames": camera.dropped_frames,
                "reasons": ", ".join(camera.reasons),
            }
            for camera in found.cameras
        ]
        minutes = dict.fromkeys(("recorded_minutes", "asked_minutes", "dropped_frames"), _INT)
        columns = {"camera_id": _WORD, "coverage": _FLOAT} | minutes | {"reasons": _WORD}
        return self._answer("Coverage by camera", table_of(rows, columns), found)

    def settings(self) -> dict[str, Any]:
        """The site file of the newest run, as the lake has it: without addresses of cameras, sinks and credentials."""
        return newest_settings(self._lake, self.store.site_id)

    def question(self, when: When = None) -> Question:
        """What the named questions of `retail_ray.lake` take, for this store."""
        start_us, end_us = interval_us(self._lake, self.store.site_id, self.store.day, when)
        return Question(self.store.site_id, self.store.day, start_us, end_us, self.store.camera_ids)

    def _footfall_by_line(self, question: Question, line: str | None) -> Answer:
        found = queries.footfall(self._lake, question, "day", line)
        totals = {entry.id: asdict(queries.Crossings()) for entry in self.store.lines if line in (None, entry.id)}
        totals |= {row.line_id: asdict(row.total) for row in found.lines}
        rows = [{"line_id": name} | total for name, total in totals.items()]
        return self._answer("Footfall by line", table_of(rows, {"line_id": _WORD} | _CROSSINGS), found.coverage)

    def _clipped(self, question: Question, found: Any) -> Question:
        day = question.day
        start_us, end_us = max(day.start_us(found.day), question.start_us), min(day.end_us(found.day), question.end_us)
        return Question(question.site_id, day, start_us, end_us, question.cameras)

    def _zone(self, zone: str | None) -> str | None:
        return None if zone is None else require_known("zone", zone, [entry.id for entry in self.store.zones])

    def _listing(self, title: str, query: str, when: When, notes: tuple[str, ...] = (), **values: Any) -> Answer:
        question = self.question(when)
        return self._answer(title, self._listed(question, query, **values), coverage(self._lake, question), notes)

    def _listed(self, question: Question, query: str, **values: Any) -> pa.Table:
        return listings.listing(self._lake, question, query, **values)

    def _answer(
        self,
        title: str,
        table: pa.Table,
        found: Coverage | None,
        notes: tuple[str, ...] = (),
        estimates: frozenset[str] = frozenset(),
    ) -> Answer:
        return Answer(title, localised(table, self.store.timezone), self.store, found, notes, estimates)


def open_store(root: str | os.PathLike[str], site: str | None = None, *, threads: int = 2) -> StoreLake:
    """Open a lake for analysis; `site` names the store where it holds several. LakeError where there is none."""
    lake = open_lake(Path(root).expanduser(), threads=threads)
    try:
        return StoreLake(lake, read_store(lake, site))
    except Exception:
        lake.close()
        raise


def _grain(by: str) -> Grain:
    _one_of("by", by, ("minute", "hour", "day", "line"))
    return by  # type: ignore[return-value]


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise QueryError(f"{name}={value!r} is not possible here; give {', '.join(allowed)}")
