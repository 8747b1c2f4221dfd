"""The named questions of the API and the notebooks. Values are bound, never written into SQL.

Events count within [start_us, end_us) by their instant, stays by their beginning, tracklets by overlap.
An empty lake answers with zeros; `coverage` says how much the numbers rest on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import Any, Final

from retail_ray.lake import rollup_kinds
from retail_ray.lake.identity_views import identities_on
from retail_ray.lake.kept_sums import listed
from retail_ray.lake.questions import Coverage, Grain, Question, bucket_shares, bucket_starts, coverage, on_slots
from retail_ray.lake.rollups import Rollup, used
from retail_ray.lake.views import Lake

_ON_DAYS: Final = """site_id = $site AND date IN ({days}) AND ($camera IS NULL OR camera_id = $camera)"""
_STAYS: Final = f"""{_ON_DAYS}
      AND enter_time >= make_timestamptz($start_us) AND enter_time < make_timestamptz($end_us)"""
_TRACKS: Final = f"""{_ON_DAYS}
      AND first_time < make_timestamptz($end_us) AND last_time >= make_timestamptz($start_us)"""
_SUMS: Final = "sum(entries)::BIGINT AS entries, sum(exits)::BIGINT AS exits, sum(turned_back)::BIGINT AS turned_back"
_FOOTFALL: Final = f"""
SELECT line_id, bucket.start_us, {_SUMS}
FROM parts ASOF JOIN (SELECT unnest($starts::BIGINT[]) AS start_us) bucket
  ON greatest(slot_us, $start_us) >= bucket.start_us
WHERE $line IS NULL OR line_id = $line
GROUP BY line_id, bucket.start_us
"""


@dataclass(frozen=True, slots=True)
class Crossings:
    """Completed crossings; `turned_back` ones are neither entries nor exits."""

    entries: int = 0
    exits: int = 0
    turned_back: int = 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Crossings of [start_us, end_us), and the share of its camera-minutes that was analysed."""

    start_us: int
    end_us: int
    crossings: Crossings
    interval_share: float | None


@dataclass(frozen=True, slots=True)
class LineFootfall:
    """Crossings of one counting line."""

    line_id: str
    total: Crossings
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Footfall:
    """Entries and exits of all asked lines together and of each line with rows."""

    total: Crossings
    buckets: tuple[Bucket, ...]
    lines: tuple[LineFootfall, ...]
    coverage: Coverage


def footfall(lake: Lake, question: Question, by: Grain = "hour", line_id: str | None = None) -> Footfall:
    """Crossings per minute, local hour or business day; every bucket of the interval is there, zeros included."""
    starts = bucket_starts(question, by)
    aligned = on_slots(starts)
    with lake.looking_once():
        rows = lake.rollups.rows(
            rollup_kinds.crossings() if aligned else rollup_kinds.crossings(slot_us=1),
            question,
            _FOOTFALL,
            question.params | {"line": line_id, "starts": starts},
            read_all=not aligned,
        )
        found = coverage(lake, question)
        shares = bucket_shares(lake, question, starts, len(found.cameras))
    spans = list(zip(starts, [*starts[1:], question.end_us], shares, strict=True))
    lines = sorted({row["line_id"] for row in rows})
    per_line = {name: [row for row in rows if row["line_id"] == name] for name in lines}
    return Footfall(
        total=_sum(rows),
        buckets=_bucketed(rows, spans),
        lines=tuple(LineFootfall(name, _sum(some), _bucketed(some, spans)) for name, some in per_line.items()),
        coverage=found,
    )


def _bucketed(rows: list[dict[str, Any]], spans: list[tuple[int, int, float | None]]) -> tuple[Bucket, ...]:
    by_start = defaultdict(list)
    for row in rows:
        by_start[row["start_us"]].append(row)
    return tuple(Bucket(start, end, _sum(by_start[start]), share) for start, end, share in spans)


def _sum(rows: list[dict[str, Any]]) -> Crossings:
    return Crossings(*(sum(row[name] for row in rows) for name in ("entries", "exits", "turned_back")))


@dataclass(frozen=True, slots=True)
class Occupancy:
    """People inside at the end of one minute."""

    minute_us: int
    entries: int
    exits: int
    inside: int


def occupancy(lake: Lake, question: Question) -> Occupancy | None:
    """The newest row of the interval; None where there is none."""
    params = _without(question.params, "camera")
    first, last = params.pop("first_day"), params.pop("last_day")
    days = [day for day in lake.days("occupancy", question.site_id) if first <= day <= last]
    for day in sorted(days, reverse=True):
        rows = lake.rows(
            """SELECT epoch_us(time) AS minute_us, entries, exits, greatest(inside, 0) AS inside
            FROM occupancy
            WHERE site_id = $site AND date = $day
              AND time >= make_timestamptz($start_us) AND time < make_timestamptz($end_us)
            ORDER BY time DESC, run_id DESC LIMIT 1""",
            params | {"day": day},
            (question.site_id, (day,)),
        )
        if rows:
            return Occupancy(**rows[0])
    return None


@dataclass(frozen=True, slots=True)
class Stats:
    """Totals of the interval. identities: different people recognised; unidentified: tracklets without identity."""

    crossings: Crossings
    tracklets: int
    identities: int
    unidentified_tracklets: int
    zone_visits: int
    occupancy: Occupancy | None
    coverage: Coverage


def stats(lake: Lake, question: Question) -> Stats:
    def total(rollup: Rollup, *names: str) -> dict[str, int]:
        sums = ", ".join(f"coalesce(sum({name}), 0)::BIGINT AS {name}" for name in names)
        return lake.rollups.rows(rollup, question, f"SELECT {sums} FROM parts", question.params)[0]

    with lake.looking_once():
        tracked = total(rollup_kinds.TRACKLETS, "tracklets", "identities", "unidentified")
        return Stats(
            crossings=Crossings(**total(rollup_kinds.crossings(), "entries", "exits", "turned_back")),
            tracklets=tracked["tracklets"],
            identities=tracked["identities"],
            unidentified_tracklets=tracked["unidentified"],
            zone_visits=total(rollup_kinds.STAY_BEGINS, "beginnings")["beginnings"],
            occupancy=occupancy(lake, question),
            coverage=coverage(lake, question),
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of one tracklet, with its identity where it has one."""

    enter_us: int
    exit_us: int
    camera_id: str
    run_id: str
    local_id: int
    session_id: str | None
    identity_id: int | None
    dwell_s: float
    observed_s: float
    bridged_s: float
    censored: bool

    @property
    def key(self) -> RowKey:
        return self.enter_us, self.camera_id, self.run_id, self.local_id


@dataclass(frozen=True, slots=True)
class Track:
    """One tracklet, with its identity where it has one."""

    first_us: int
    last_us: int
    camera_id: str
    run_id: str
    local_id: int
    session_id: str | None
    identity_id: int | None
    frames: int
    mean_confidence: float
    path_m: float | None

    @property
    def key(self) -> RowKey:
        return self.first_us, self.camera_id, self.run_id, self.local_id


RowKey = tuple[int, str, str, int]
"""Place of a row in a listing: (time_us, camera_id, run_id, local_id)."""

_AFTER: Final = """($after_us IS NULL
      OR ({time}, camera_id, run_id, local_id) > ($after_us, $after_camera, $after_run, $after_local))"""


def zone_visits(
    lake: Lake, question: Question, zone_id: str, limit: int, after: RowKey | None = None
) -> tuple[list[Visit], RowKey | None]:
    """Stays in order of entering, at most `limit`, behind `after`; and the key to go on from, if there are more."""
    params = question.params | _after(after) | {"zone": zone_id, "rows": limit + 1}

    def fetch(days: Sequence[date]) -> list[dict[str, Any]]:
        decided = lake.rollups.decided(question.site_id, days)
        text = f"""WITH page AS (
                SELECT epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us, site_id, camera_id, run_id,
                       local_id, dwell_s, observed_s, bridged_s, censored
                FROM zone_visits
                WHERE {_STAYS.format(days=listed(days))} AND zone_id = $zone
                  AND {_AFTER.format(time="epoch_us(enter_time)")}
                ORDER BY enter_us, camera_id, run_id, local_id LIMIT $rows)
            SELECT enter_us, exit_us, camera_id, run_id, local_id, session_id, identity_id, dwell_s, observed_s,
                   bridged_s, censored
            FROM page LEFT JOIN ({identities_on(listed(decided), "page")})
                USING (site_id, run_id, camera_id, local_id)
            ORDER BY enter_us, camera_id, run_id, local_id"""
        return lake.rows(text, used(text, params), (question.site_id, {*days, *decided}))

    after_us = None if after is None else after[0]
    rows = lake.rollups.page(
        rollup_kinds.STAY_BEGINS, question, after_us, fetch, enough=limit + 1, time_us=itemgetter("enter_us")
    )
    visits = [Visit(**row) for row in rows[:limit]]
    return visits, visits[-1].key if len(rows) > limit else None


def tracks(
    lake: Lake, question: Question, limit: int, after: RowKey | None = None
) -> tuple[list[Track], RowKey | None]:
    """Tracklets in order of their beginning; paged like `zone_visits`."""
    params = question.params | _after(after) | {"rows": limit + 1}

    def fetch(days: Sequence[date]) -> list[dict[str, Any]]:
        decided = lake.rollups.decided(question.site_id, days)
        text = f"""WITH page AS (
                SELECT epoch_us(first_time) AS first_us, epoch_us(last_time) AS last_us, site_id, camera_id, run_id,
                       local_id, frames, mean_confidence, path_m
                FROM tracklets
                WHERE {_TRACKS.format(days=listed(days))} AND {_AFTER.format(time="epoch_us(first_time)")}
                ORDER BY first_us, camera_id, run_id, local_id LIMIT $rows)
            SELECT first_us, last_us, camera_id, run_id, local_id, session_id, identity_id, frames, mean_confidence,
                   path_m
            FROM page LEFT JOIN ({identities_on(listed(decided), "page")})
                USING (site_id, run_id, camera_id, local_id)
            ORDER BY first_us, camera_id, run_id, local_id"""
        return lake.rows(text, used(text, params), (question.site_id, {*days, *decided}))

    after_us = None if after is None else after[0]
    rows = lake.rollups.page(
        rollup_kinds.TRACKLET_BEGINS, question, after_us, fetch, enough=limit + 1, time_us=itemgetter("first_us")
    )
    found = [Track(**row) for row in rows[:limit]]
    return found, found[-1].key if len(rows) > limit else None


def _after(key: RowKey | None) -> dict[str, Any]:
    return dict(zip(("after_us", "after_camera", "after_run", "after_local"), key or (None,) * 4, strict=True))


def _without(params: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key != name}
