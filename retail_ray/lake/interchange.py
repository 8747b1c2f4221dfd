"""Exports that other tools of the field read: five JSON files over an interval of one site.

Detections, journeys, queue metrics and alerts are arrays with one object per line, written while they are read;
the heat map is one object. Times are ISO 8601 in UTC. `stream_id` is the camera, or the site where a row is not of
one camera.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, from_us
from retail_ray.lake.files import lake_errors
from retail_ray.lake.views import Lake

FILES: Final = ("detections.json", "journeys.json", "queue_metrics.json", "heatmap.json", "alerts.json")
SLICE_US: Final = 300 * US_PER_S
_DAY_US: Final = 86_400 * US_PER_S
_SLACK_DAYS: Final = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """Event time [start_us, end_us) of one site."""

    site_id: str
    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if not self.start_us < self.end_us:
            raise QueryError(
                f"the interval is empty: it begins {from_us(self.start_us)} and ends {from_us(self.end_us)}"
            )

    def slices(self, step_us: int) -> Iterator[Interval]:
        for start_us in range(self.start_us, self.end_us, step_us):
            yield Interval(self.site_id, start_us, min(start_us + step_us, self.end_us))


def recorded(lake: Lake, site_id: str | None = None) -> Interval:
    """The site and all its recorded time. QueryError where the lake has no such site, or several and none is named."""
    found = lake.rows(
        """SELECT site_id, epoch_us(min(time)) AS start_us, epoch_us(max(time)) AS last_us
        FROM coverage GROUP BY site_id ORDER BY site_id"""
    )
    names = [row["site_id"] for row in found]
    chosen = [row for row in found if site_id in (None, row["site_id"])]
    if not chosen:
        asked = "anything" if site_id is None else f"site '{site_id}'"
        raise QueryError(f"{lake.root}: nothing of {asked} is recorded; sites here: {', '.join(names) or 'none'}")
    if len(chosen) > 1:
        raise QueryError(f"{lake.root}: holds several sites ({', '.join(names)}); name one")
    return Interval(chosen[0]["site_id"], chosen[0]["start_us"], chosen[0]["last_us"] + US_PER_MINUTE)


def local_instant(lake: Lake, site_id: str, text: str) -> int:
    """Microseconds UTC of an ISO date and time; without offset it is the site's local time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryError(f"{text!r} is no ISO date and time, e.g. 2026-03-02T10:00") from error
    if moment.tzinfo is None:
        zones = lake.rows(
            "SELECT timezone FROM sites WHERE site_id = $site ORDER BY time DESC LIMIT 1", {"site": site_id}
        )
        moment = moment.replace(tzinfo=ZoneInfo(zones[0]["timezone"] if zones else "UTC"))
    return round(moment.timestamp() * US_PER_S)


def export(lake: Lake, interval: Interval, out: Path) -> dict[str, int]:
    """Write the five files into `out`; the number of objects in each (cells with presence for the heat map).

    LakeError where one of them is there already, or cannot be written.
    """
    require_free(out)
    with lake_errors("write", out):
        out.mkdir(parents=True, exist_ok=True)
        return {
            "detections.json": _write_array(out / "detections.json", _detections(lake, interval)),
            "journeys.json": _write_array(out / "journeys.json", _journeys(lake, interval)),
            "queue_metrics.json": _write_array(out / "queue_metrics.json", _queue_metrics(lake, interval)),
            "heatmap.json": _write_heatmap(lake, interval, out / "heatmap.json"),
            "alerts.json": _write_array(out / "alerts.json", _alerts(lake, interval)),
        }


def require_free(out: Path) -> None:
    """LakeError where one of the files is in `out` already."""
    taken = [out / name for name in FILES if (out / name).exists()]
    if taken:
        raise LakeError(f"{taken[0]}: exists already; remove it, or export into another folder")


def hotspots(presence_s: NDArray[np.float64]) -> list[tuple[int, int]]:
    """(row, column) of the local maxima of a grid among their eight neighbours, the strongest first."""
    padded = np.pad(presence_s, 1, constant_values=-1.0)
    rows, columns = presence_s.shape
    is_top = presence_s > 0
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            neighbour = padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
            if (down, right) < (0, 0):
                is_top &= presence_s > neighbour  # of two equal neighbours the first is the maximum
            elif (down, right) > (0, 0):
                is_top &= presence_s >= neighbour
    tops = [(int(row), int(column)) for row, column in np.argwhere(is_top)]
    return sorted(tops, key=lambda top: (-presence_s[top], top))


def _write_array(path: Path, lines: Iterable[str]) -> int:
    """The file appears whole, when its last object is written."""
    draft, count = path.with_name(f".{path.name}.draft"), 0
    with draft.open("w", encoding="utf-8") as file:
        file.write("[")
        for line in lines:
            file.write(",\n" if count else "\n")
            file.write(line)
            count += 1
        file.write("\n]\n")
    draft.rename(path)
    return count


def _sliced(
    lake: Lake, query: str, interval: Interval, step_us: int, shape: Callable[[dict[str, Any]], dict[str, Any]]
) -> Iterator[str]:
    """Objects slice by slice, so that memory does not grow with the interval."""
    for part in interval.slices(step_us):
        for row in lake.rows(query, interval_params(part)):
            yield json.dumps(shape(row), ensure_ascii=False)


def interval_params(interval: Interval) -> dict[str, Any]:
    """Parameters of a question with `within`."""
    """A business day may lie a day off the UTC date on either side."""
    first, last = from_us(interval.start_us).toordinal(), from_us(interval.end_us).toordinal()
    return {
        "site": interval.site_id,
        "start_us": interval.start_us,
        "end_us": interval.end_us,
        "first_day": datetime.fromordinal(first - _SLACK_DAYS).date(),
        "last_day": datetime.fromordinal(last + _SLACK_DAYS).date(),
    }


def within(column: str) -> str:
    """The condition that a row of the site lies in the interval by this column."""
    return f"""site_id = $site AND date BETWEEN $first_day AND $last_day
      AND {column} >= make_timestamptz($start_us) AND {column} < make_timestamptz($end_us)"""


def _detections(lake: Lake, interval: Interval) -> Iterator[str]:
    """The database writes the objects: there are millions."""
    query = f"""SELECT camera_id, format(
            '"frame_number": {{}}, "timestamp": "{{}}Z", "class_name": "person", "confidence": {{:.4f}}, '
            '"bbox": {{{{"x": {{:.2f}}, "y": {{:.2f}}, "width": {{:.2f}}, "height": {{:.2f}}}}}}, "track_id": {{}}}}}}',
            frame_index, strftime(make_timestamp(epoch_us(time)), '%Y-%m-%dT%H:%M:%S.%g'), confidence::DOUBLE,
            x1_px::DOUBLE, y1_px::DOUBLE, x2_px::DOUBLE - x1_px, y2_px::DOUBLE - y1_px,
            coalesce(local_id::VARCHAR, 'null')) AS rest
        FROM detections WHERE {within("time")} ORDER BY time, camera_id, local_id, x1_px"""
    for part in interval.slices(SLICE_US):
        for row in lake.rows(query, interval_params(part)):
            yield f'{{"stream_id": {json.dumps(row["camera_id"], ensure_ascii=False)}, {row["rest"]}'


def _journeys(lake: Lake, interval: Interval) -> Iterator[str]:
    query = f"""SELECT journey_id, identity_id, site_id, epoch_us(enter_time) AS enter_us,
           epoch_us(exit_time) AS exit_us, duration_s, converted,
           [stay.zone_id FOR stay IN stays] AS zones, [stay.dwell_s FOR stay IN stays] AS dwells_s
        FROM (SELECT * EXCLUDE (converted) FROM journeys)
        LEFT JOIN (SELECT site_id, run_id, journey_id, date, converted FROM journey_conversions)
            USING (site_id, run_id, journey_id, date)
        WHERE {within("enter_time")} ORDER BY enter_time, journey_id"""
    return _sliced(lake, query, interval, _DAY_US, _journey)


def _journey(row: dict[str, Any]) -> dict[str, Any]:
    dwell_s: dict[str, float] = {}
    for zone_id, seconds in zip(row["zones"], row["dwells_s"], strict=True):
        dwell_s[zone_id] = dwell_s.get(zone_id, 0.0) + seconds
    return {
        "journey_id": row["journey_id"],
        "track_id": row["identity_id"],
        "stream_id": row["site_id"],
        "start_time": iso_time(row["enter_us"]),
        "end_time": iso_time(row["exit_us"]),
        "duration_seconds": round(row["duration_s"], 3),
        "zones_visited": row["zones"],
        "zone_dwell_times": {zone_id: round(seconds, 3) for zone_id, seconds in dwell_s.items()},
        "converted": row["converted"],
        "cart_detected": None,
    }


def _queue_metrics(lake: Lake, interval: Interval) -> Iterator[str]:
    query = f"""SELECT lane_id, site_id AS stream_id, epoch_us(time) AS timestamp, queue_length_mean AS queue_length,
           avg_wait_s AS avg_wait_time_seconds, max_wait_s AS max_wait_time_seconds,
           service_rate_per_h AS service_rate, abandoned AS abandonment_count
        FROM queue_metrics WHERE {within("time")} ORDER BY time, lane_id"""
    return _sliced(lake, query, interval, _DAY_US, _stamped)


def _alerts(lake: Lake, interval: Interval) -> Iterator[str]:
    query = f"""SELECT rule_id, coalesce(camera_id, site_id) AS stream_id, epoch_us(time) AS timestamp, severity, state,
           dedup_key, zone_id, lane_id, value, threshold, message
        FROM alerts WHERE {within("time")} ORDER BY time, dedup_key, state"""
    return _sliced(lake, query, interval, _DAY_US, _stamped)


def _stamped(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"timestamp": iso_time(row["timestamp"])}


def _write_heatmap(lake: Lake, interval: Interval, path: Path) -> int:
    """Whole hours: all that the interval touches."""
    cells = lake.rows(
        """SELECT cell_m, x0_m, y0_m, sum(presence_s) AS presence_s FROM heat
        WHERE site_id = $site AND date BETWEEN $first_day AND $last_day
          AND time + INTERVAL 1 HOUR > make_timestamptz($start_us) AND time < make_timestamptz($end_us)
        GROUP BY ALL ORDER BY ALL""",
        interval_params(interval),
    )
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(_heatmap(interval.site_id, cells), indent=1) + "\n", encoding="utf-8")
    draft.rename(path)
    return len(cells)


def _heatmap(site_id: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """`data` has rows from the smallest y up, each from the smallest x up; hotspots are squares' middles in metres."""
    sizes = sorted({cell["cell_m"] for cell in cells})
    if len(sizes) > 1:
        raise QueryError(
            f"site '{site_id}': the interval has heat in squares of {sizes} m; ask for one of the versions"
        )
    size = sizes[0] if sizes else 1.0
    places = np.array([[round(cell["x0_m"] / size), round(cell["y0_m"] / size)] for cell in cells]).reshape(-1, 2)
    low = places.min(axis=0) if len(places) else np.zeros(2, np.int64)
    columns, rows = (places.max(axis=0) - low + 1).tolist() if len(places) else (0, 0)
    grid = np.zeros((rows, columns))
    for (column, row), cell in zip((places - low).tolist(), cells, strict=True):
        grid[row, column] = cell["presence_s"]
    x0, y0 = (low * size).tolist()
    return {
        "stream_id": site_id,
        "resolution": {"columns": columns, "rows": rows, "x0_m": x0, "y0_m": y0},
        "cell_size": size,
        "data": np.round(grid, 3).tolist(),
        "hotspots": [
            {
                "x": round(x0 + (column + 0.5) * size, 3),
                "y": round(y0 + (row + 0.5) * size, 3),
                "intensity": round(float(grid[row, column]), 3),
            }
            for row, column in (hotspots(grid) if grid.size else [])
        ],
    }


def iso_time(time_us: int) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return from_us(time_us).isoformat(timespec="milliseconds").replace("+00:00", "Z")
