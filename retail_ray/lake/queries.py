"""The named questions of the API and the notebooks. Values are bound, never written into SQL.

Events count within [start_us, end_us) by their instant, stays by their beginning, tracklets by overlap.
An empty lake answers with zeros; `coverage` says how much the numbers rest on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from retail_ray.lake.questions import Coverage, Grain, Question, bucket_shares, bucket_starts, coverage
from retail_ray.lake.views import Lake

_IN_INTERVAL: Final = """site_id = $site AND date BETWEEN $first_day AND $last_day
      AND {time} >= make_timestamptz($start_us) AND {time} < make_timestamptz($end_us)
      AND ($camera IS NULL OR camera_id = $camera)"""
_EVENTS: Final = _IN_INTERVAL.format(time="time")
_STAYS: Final = _IN_INTERVAL.format(time="enter_time")
_TRACKS: Final = """site_id = $site AND date BETWEEN $first_day - 1 AND $last_day
      AND first_time < make_timestamptz($end_us) AND last_time >= make_timestamptz($start_us)
      AND ($camera IS NULL OR camera_id = $camera)"""


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
    rows = lake.rows(
        f"""SELECT line_id, bucket.start_us,
               count(*) FILTER (direction = 'in' AND NOT turned_back) AS entries,
               count(*) FILTER (direction = 'out' AND NOT turned_back) AS exits,
               count(*) FILTER (turned_back) AS turned_back
        FROM line_crossings ASOF JOIN (SELECT unnest($starts::BIGINT[]) AS start_us) bucket
          ON epoch_us(time) >= bucket.start_us
        WHERE {_EVENTS} AND ($line IS NULL OR line_id = $line)
        GROUP BY line_id, bucket.start_us""",
        question.params | {"line": line_id, "starts": starts},
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
    rows = lake.rows(
        """SELECT epoch_us(time) AS minute_us, entries, exits, greatest(inside, 0) AS inside
        FROM occupancy
        WHERE site_id = $site AND date BETWEEN $first_day AND $last_day
          AND time >= make_timestamptz($start_us) AND time < make_timestamptz($end_us)
        ORDER BY time DESC, run_id DESC LIMIT 1""",
        _without(question.params, "camera"),
    )
    return Occupancy(**rows[0]) if rows else None


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
    tracked = lake.rows(
        f"""SELECT count(*) AS tracklets, count(*) FILTER (identity_id IS NULL) AS unidentified,
               count(DISTINCT (run_id, session_id, identity_id)) FILTER (identity_id IS NOT NULL) AS identities
        FROM tracklets LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id) WHERE {_TRACKS}""",
        question.params,
    )[0]
    crossed = lake.rows(
        f"""SELECT count(*) FILTER (direction = 'in' AND NOT turned_back) AS entries,
               count(*) FILTER (direction = 'out' AND NOT turned_back) AS exits,
               count(*) FILTER (turned_back) AS turned_back
        FROM line_crossings WHERE {_EVENTS}""",
        question.params,
    )[0]
    visits = lake.rows(f"SELECT count(*) AS visits FROM zone_visits WHERE {_STAYS}", question.params)[0]["visits"]
    return Stats(
        crossings=Crossings(**crossed),
        tracklets=tracked["tracklets"],
        identities=tracked["identities"],
        unidentified_tracklets=tracked["unidentified"],
        zone_visits=visits,
        occupancy=occupancy(lake, question),
        coverage=coverage(lake, question),
    )


@dataclass(frozen=True, slots=True)
class ZoneSummary:
    """Stays in one zone. Medians and P90 are of the observed lengths: lower bounds as far as stays are censored.

    The survival estimates (Kaplan-Meier) allow for censoring; None where too many stays are cut off.
    """

    zone_id: str
    visits: int = 0
    censored: int = 0
    people: int = 0
    median_dwell_s: float | None = None
    p90_dwell_s: float | None = None
    survival_median_dwell_s: float | None = None
    survival_p90_dwell_s: float | None = None


def zone_summary(lake: Lake, question: Question, zone_ids: tuple[str, ...]) -> list[ZoneSummary]:
    """One summary per asked zone, in that order."""
    rows = lake.rows(
        f"""WITH stays AS (
            SELECT zone_id, dwell_s, censored, run_id, session_id, identity_id, camera_id, local_id
            FROM zone_visits LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id)
            WHERE {_STAYS} AND list_contains($zones, zone_id)
        ), lengths AS (
            SELECT zone_id, dwell_s, count(*) FILTER (NOT censored) AS ended, count(*) AS stays
            FROM stays GROUP BY zone_id, dwell_s
        ), at_risk AS (
            SELECT *, sum(stays) OVER (PARTITION BY zone_id ORDER BY dwell_s DESC) AS still_inside FROM lengths
        ), survival AS (
            SELECT *, product(1 - ended / still_inside) OVER (PARTITION BY zone_id ORDER BY dwell_s) AS share
            FROM at_risk
        ), estimates AS (
            SELECT zone_id, min(dwell_s) FILTER (share <= 0.5 + 1e-9) AS survival_median_dwell_s,
                   min(dwell_s) FILTER (share <= 0.1 + 1e-9) AS survival_p90_dwell_s
            FROM survival GROUP BY zone_id
        )
        SELECT zone_id, count(*) AS visits, count(*) FILTER (censored) AS censored,
               count(DISTINCT (run_id, session_id, identity_id)) FILTER (identity_id IS NOT NULL)
               + count(DISTINCT (run_id, camera_id, local_id)) FILTER (identity_id IS NULL) AS people,
               quantile_cont(dwell_s, 0.5) AS median_dwell_s, quantile_cont(dwell_s, 0.9) AS p90_dwell_s,
               any_value(survival_median_dwell_s) AS survival_median_dwell_s,
               any_value(survival_p90_dwell_s) AS survival_p90_dwell_s
        FROM stays LEFT JOIN estimates USING (zone_id) GROUP BY zone_id""",
        question.params | {"zones": list(zone_ids)},
    )
    found = {row["zone_id"]: ZoneSummary(**row) for row in rows}
    return [found.get(zone_id, ZoneSummary(zone_id)) for zone_id in zone_ids]


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
    rows = lake.rows(
        f"""SELECT epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us, camera_id, run_id, local_id,
               session_id, identity_id, dwell_s, observed_s, bridged_s, censored
        FROM zone_visits LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id)
        WHERE {_STAYS} AND zone_id = $zone AND {_AFTER.format(time="epoch_us(enter_time)")}
        ORDER BY enter_us, camera_id, run_id, local_id LIMIT $rows""",
        question.params | _after(after) | {"zone": zone_id, "rows": limit + 1},
    )
    visits = [Visit(**row) for row in rows[:limit]]
    return visits, visits[-1].key if len(rows) > limit else None


def tracks(
    lake: Lake, question: Question, limit: int, after: RowKey | None = None
) -> tuple[list[Track], RowKey | None]:
    """Tracklets in order of their beginning; paged like `zone_visits`."""
    rows = lake.rows(
        f"""SELECT epoch_us(first_time) AS first_us, epoch_us(last_time) AS last_us, camera_id, run_id, local_id,
               session_id, identity_id, frames, mean_confidence, path_m
        FROM tracklets LEFT JOIN tracklet_identity USING (site_id, run_id, camera_id, local_id)
        WHERE {_TRACKS} AND {_AFTER.format(time="epoch_us(first_time)")}
        ORDER BY first_us, camera_id, run_id, local_id LIMIT $rows""",
        question.params | _after(after) | {"rows": limit + 1},
    )
    found = [Track(**row) for row in rows[:limit]]
    return found, found[-1].key if len(rows) > limit else None


def _after(key: RowKey | None) -> dict[str, Any]:
    return dict(zip(("after_us", "after_camera", "after_run", "after_local"), key or (None,) * 4, strict=True))


def _without(params: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key != name}
