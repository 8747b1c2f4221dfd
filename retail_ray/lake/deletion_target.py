"""What a deletion takes away: a person's visit, or an interval, as tracklets, identities and time.

A tracklet that reaches into an interval goes with all its rows: what stayed of it would refer to nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retail_ray.core.errors import QueryError
from retail_ray.core.time import US_PER_MINUTE, from_us
from retail_ray.lake.views import Lake

DELETED: Final = "deleted"
"""The reason in `coverage` of minutes that were taken away."""
_HOUR_US: Final = 60 * US_PER_MINUTE
_SPANS: Final = {
    "detections": ("time", "time"),
    "tracklets": ("first_time", "last_time"),
    "line_crossings": ("time", "time"),
    "zone_visits": ("enter_time", "exit_time"),
    "queue_visits": ("join_time", "leave_time"),
    "journeys": ("enter_time", "exit_time"),
    "alerts": ("time", "time"),
    "occupancy_corrections": ("time", "time"),
    "transactions": ("time", "time"),
    "conversions": ("time", "time"),
}
_SUMS_US: Final = {"occupancy": US_PER_MINUTE, "queue_metrics": US_PER_MINUTE, "heat": _HOUR_US}
SUMS: Final = tuple(_SUMS_US)
"""Tables that hold sums over all people: a visit cannot be taken out of them."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """Event time [start_us, end_us) of all cameras, or of one."""

    start_us: int
    end_us: int
    camera_id: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Rows of one site to delete. tracklets: run -> camera -> local ids. identities: run -> (session, identity).

    scope: what was asked, without personal data. first_day, last_day: between which the rows lie.
    """

    site_id: str
    scope: dict[str, Any]
    first_day: date
    last_day: date
    tracklets: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    identities: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    interval: Interval | None = None

    def rows(self, table: str, run_id: str, data: pa.Table) -> Mask:
        """(N,) whether each row goes."""
        goes = np.zeros(len(data), bool)
        names = data.column_names
        if "visit_run_id" in names:
            goes |= self._of_visits(data)
        elif "local_id" in names:
            goes |= _of_tracklets(data, self.tracklets.get(run_id, {}))
        if "identity_id" in names and "visit_run_id" not in names and (self.interval is None or table == "journeys"):
            goes |= _of_identities(data, self.identities.get(run_id, [])) & self._touched(table, data)
        if self.interval is not None:
            goes |= self._in_interval(table, data, self.interval)
        return goes

    def marks(self, data: pa.Table) -> Mask:
        """(N,) which rows of coverage lie in the interval and do not say so yet."""
        if self.interval is None:
            return np.zeros(len(data), bool)
        within = _overlaps(data, "time", "time", US_PER_MINUTE, self.interval) & _of_camera(data, self.interval)
        return np.asarray(within & (_text(data, "reason") != DELETED), bool)

    def as_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self), default=date.isoformat))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Target:
        interval = content["interval"]
        return cls(
            content["site_id"],
            content["scope"],
            date.fromisoformat(content["first_day"]),
            date.fromisoformat(content["last_day"]),
            content["tracklets"],
            {run: [(session, number) for session, number in pairs] for run, pairs in content["identities"].items()},
            None if interval is None else Interval(**interval),
        )

    def _of_visits(self, data: pa.Table) -> Mask:
        """Rows about stays of other runs than the one that wrote them."""
        goes, of_run = np.zeros(len(data), bool), _text(data, "visit_run_id")
        for run_id in self.tracklets.keys() | self.identities.keys():
            mine = _of_tracklets(data, self.tracklets.get(run_id, {}))
            mine |= _of_identities(data, self.identities.get(run_id, [])) & (self.interval is None)
            goes |= mine & (of_run == run_id)
        return goes

    def _touched(self, table: str, data: pa.Table) -> Mask:
        if self.interval is None:
            return np.ones(len(data), bool)
        first, last = _SPANS[table]
        return _overlaps(data, first, last, 0, self.interval)

    def _in_interval(self, table: str, data: pa.Table, interval: Interval) -> Mask:
        whole_store = interval.camera_id is None
        if table in _SUMS_US:
            return _overlaps(data, "time", "time", _SUMS_US[table], interval) & whole_store
        if table not in _SPANS:
            return np.zeros(len(data), bool)
        first, last = _SPANS[table]
        mine = _of_camera(data, interval) if "camera_id" in data.column_names else np.full(len(data), whole_store)
        return _overlaps(data, first, last, 0, interval) & mine


def visit(lake: Lake, session_id: str, identity_id: int) -> Target:
    """All tracklets that the newest decisions give to an identity, with the identities that it absorbed.

    QueryError where there is none, or where it was absorbed itself.
    """
    asked = {"session": session_id, "identity": identity_id}
    tracks = lake.rows(
        """SELECT i.site_id, i.run_id, i.camera_id, i.local_id, t.date, epoch_us(t.first_time) AS first_us,
               epoch_us(t.last_time) AS last_us
        FROM tracklet_identity i LEFT JOIN tracklets t USING (site_id, run_id, camera_id, local_id)
        WHERE i.session_id = $session AND i.identity_id = $identity""",
        asked,
    )
    if not tracks:
        raise QueryError(f"visit '{session_id}/{identity_id}': {_absence(lake, asked)}")
    absorbed = lake.rows(
        """WITH RECURSIVE mine AS (
            SELECT DISTINCT run_id, identity_id FROM identity_events
            WHERE session_id = $session AND identity_id = $identity
            UNION
            SELECT e.run_id, e.other_identity_id FROM identity_events e JOIN mine USING (run_id, identity_id)
            WHERE e.kind = 'merge' AND e.session_id = $session)
        SELECT * FROM mine ORDER BY ALL""",
        asked,
    )
    identities: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row in absorbed:
        identities[row["run_id"]].append((session_id, row["identity_id"]))
    named = hashlib.sha256(f"{tracks[0]['site_id']}/{session_id}/{identity_id}".encode()).hexdigest()
    days = [row["date"] for row in tracks if row["date"] is not None] or _all_days(lake)
    return Target(
        tracks[0]["site_id"],
        {"what": "visit", "visit_sha256": named},
        min(days) - timedelta(days=1),
        max(days) + timedelta(days=1),
        _by_run(tracks),
        dict(identities),
    )


def interval(lake: Lake, site_id: str, wanted: Interval) -> Target:
    """Everything of a site within an interval, of all cameras or of one."""
    if not wanted.start_us < wanted.end_us:
        first, last = from_us(wanted.start_us), from_us(wanted.end_us)
        raise QueryError(f"the interval is empty: it begins {first} and ends {last}")
    params = {
        "site": site_id, "start_us": wanted.start_us, "end_us": wanted.end_us, "camera": wanted.camera_id
    }  # fmt: skip
    tracks = lake.rows(
        """SELECT t.site_id, t.run_id, t.camera_id, t.local_id, i.session_id, i.identity_id,
               epoch_us(t.first_time) AS first_us, epoch_us(t.last_time) AS last_us
        FROM tracklets t LEFT JOIN tracklet_identity i USING (site_id, run_id, camera_id, local_id)
        WHERE t.site_id = $site AND ($camera IS NULL OR t.camera_id = $camera)
          AND t.last_time >= make_timestamptz($start_us) AND t.first_time < make_timestamptz($end_us)""",
        params,
    )
    identities: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for run_id, session_id, number in sorted(
        {(row["run_id"], row["session_id"], row["identity_id"]) for row in tracks if row["identity_id"] is not None}
    ):
        identities[run_id].append((session_id, number))
    start_us = min([wanted.start_us, *(row["first_us"] for row in tracks)])
    end_us = max([wanted.end_us, *(row["last_us"] for row in tracks)])
    scope = {
        "what": "interval",
        "site_id": site_id,
        "from": from_us(wanted.start_us).isoformat(),
        "to": from_us(wanted.end_us).isoformat(),
        "camera_id": wanted.camera_id,
    }
    first_day, last_day = _utc_day(start_us) - timedelta(days=2), _utc_day(end_us) + timedelta(days=2)
    return Target(site_id, scope, first_day, last_day, _by_run(tracks), dict(identities), wanted)


def _absence(lake: Lake, asked: dict[str, Any]) -> str:
    merges = lake.rows(
        """SELECT identity_id FROM identity_events
        WHERE kind = 'merge' AND session_id = $session AND other_identity_id = $identity ORDER BY sequence DESC""",
        asked,
    )
    if merges:
        return f"it was found to be identity {merges[0]['identity_id']}: ask for that one"
    return "no tracklet is of this identity in this session; the view tracklet_identity has those that are"


def _all_days(lake: Lake) -> list[date]:
    row = lake.rows("SELECT min(date) AS first, max(date) AS last FROM coverage")[0]
    return [row["first"] or date.min + timedelta(days=1), row["last"] or date.max - timedelta(days=1)]


def _by_run(tracks: list[dict[str, Any]]) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    for row in tracks:
        found.setdefault(row["run_id"], {}).setdefault(row["camera_id"], []).append(row["local_id"])
    return {run: {camera: sorted(ids) for camera, ids in cameras.items()} for run, cameras in found.items()}


def _utc_day(time_us: int) -> date:
    return from_us(time_us).date()


def _text(data: pa.Table, name: str) -> NDArray[Any]:
    return np.array(data[name].to_pylist(), object)


def _of_tracklets(data: pa.Table, wanted: dict[str, list[int]]) -> Mask:
    goes = np.zeros(len(data), bool)
    for camera_id, ids in wanted.items():
        wanted_ids = pc.is_in(data["local_id"], pa.array(ids, pa.int64()))
        mine = pc.and_kleene(pc.equal(_plain(data["camera_id"]), camera_id), wanted_ids)
        goes |= pc.fill_null(mine, fill_value=False).to_numpy()
    return goes


def _of_identities(data: pa.Table, wanted: list[tuple[str, int]]) -> Mask:
    goes = np.zeros(len(data), bool)
    for session_id, number in wanted:
        mine = pc.and_kleene(pc.equal(_plain(data["session_id"]), session_id), pc.equal(data["identity_id"], number))
        goes |= pc.fill_null(mine, fill_value=False).to_numpy()
    return goes


def _of_camera(data: pa.Table, wanted: Interval) -> Mask:
    if wanted.camera_id is None:
        return np.ones(len(data), bool)
    return pc.fill_null(pc.equal(_plain(data["camera_id"]), wanted.camera_id), fill_value=False).to_numpy()  # type: ignore[no-any-return]


def _overlaps(data: pa.Table, first: str, last: str, length_us: int, wanted: Interval) -> Mask:
    """Rows from `first` to `last` plus a length (0: an instant counts as part of the interval it lies in)."""
    begins = data[first].cast(pa.int64()).to_numpy()
    ends = data[last].cast(pa.int64()).to_numpy() + max(length_us, 1)
    return np.asarray((begins < wanted.end_us) & (ends > wanted.start_us))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
