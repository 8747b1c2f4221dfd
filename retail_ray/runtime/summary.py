"""The summary at the end of a run: what the lake holds of it, with its coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retail_ray.config import Site
from retail_ray.core.time import US_PER_S
from retail_ray.lake.questions import Question
from retail_ray.lake.runs import CameraSpan
from retail_ray.lake.views import Lake, open_lake
from retail_ray.lake.visitors import unique_visitors
from retail_ray.runtime.camera import CameraStatus
from retail_ray.runtime.local_job import JobResult

_QUESTIONS = {
    "cameras": """
        SELECT c.camera_id, c.expected, c.processed, c.expected - c.processed AS missing,
               coalesce(d.boxes, 0) AS detections, coalesce(t.tracklets, 0) AS tracklets
        FROM (SELECT camera_id, sum(expected_frames)::BIGINT AS expected, sum(processed_frames)::BIGINT AS processed
              FROM coverage WHERE run_id = $run GROUP BY 1) c
        LEFT JOIN (SELECT camera_id, count(*) AS boxes FROM detections WHERE run_id = $run GROUP BY 1) d
            USING (camera_id)
        LEFT JOIN (SELECT camera_id, count(*) AS tracklets FROM tracklets WHERE run_id = $run GROUP BY 1) t
            USING (camera_id)
        ORDER BY 1""",
    "lines": """
        SELECT line_id, count(*) FILTER (direction = 'in' AND NOT turned_back) AS entries,
               count(*) FILTER (direction = 'out' AND NOT turned_back) AS exits,
               (count(*) FILTER (turned_back)) // 2 AS turned_back
        FROM line_crossings WHERE run_id = $run GROUP BY 1 ORDER BY 1""",
    "zones": """
        SELECT zone_id, count(*) AS visits, count(*) FILTER (censored) AS censored,
               median(epoch(exit_time) - epoch(enter_time)) AS median_dwell_s
        FROM zone_visits WHERE run_id = $run GROUP BY 1 ORDER BY 1""",
    "queues": """
        SELECT lane_id, count(*) AS joined, count(*) FILTER (outcome = 'served') AS served,
               count(*) FILTER (outcome = 'abandoned') AS abandoned,
               median(wait_s) FILTER (service_time IS NOT NULL) AS median_wait_s
        FROM queue_visits WHERE run_id = $run GROUP BY 1 ORDER BY 1""",
    "identities": """
        SELECT count(DISTINCT (session_id, identity_id)) AS identities, count(*) AS tracklets
        FROM tracklet_identity WHERE run_id = $run""",
    "journeys": """
        SELECT count(*) AS journeys, count(*) FILTER (censored) AS censored, median(duration_s) AS median_duration_s
        FROM journeys WHERE run_id = $run""",
}


def summarise(lake_root: Path, site: Site, result: JobResult) -> dict[str, Any]:
    """JSON-ready numbers of one run."""
    outcome = result.outcome
    answers = _ask(lake_root, site, outcome.run_id)
    expected = sum(row["expected"] for row in answers["cameras"])
    processed = sum(row["processed"] for row in answers["cameras"])
    return {
        "run_id": outcome.run_id,
        "lake": str(lake_root),
        "already_complete": outcome.already_complete,
        "wall_s": round(result.wall_s, 2),
        "camera_seconds": round(sum(_length_s(span) for span in outcome.spans), 2),
        "work": _work(outcome.cameras),
        "restarts": result.restarts,
        "coverage": {
            "expected_frames": expected,
            "processed_frames": processed,
            "share": None if expected == 0 else round(processed / expected, 4),
        },
        "errors": outcome.errors,
        "alert_sinks": [asdict(sink) for sink in outcome.sinks],
        "cameras": answers["cameras"],
        "lines": answers["lines"],
        "zones": answers["zones"],
        "queues": answers["queues"],
        **answers["identities"][0],
        "journeys": answers["journeys"][0],
        "visitors": answers["visitors"],
    }


def _ask(lake_root: Path, site: Site, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Where no camera could be opened there may be no lake yet."""
    if not lake_root.exists():
        empty: dict[str, list[dict[str, Any]]] = {name: [] for name in (*_QUESTIONS, "visitors")}
        none = {"journeys": 0, "censored": 0, "median_duration_s": None}
        return empty | {"identities": [{"identities": 0, "tracklets": 0}], "journeys": [none]}
    with open_lake(lake_root) as lake:
        answers = {name: lake.rows(question, {"run": run_id}) for name, question in _QUESTIONS.items()}
        return answers | {"visitors": _visitors(lake, site, run_id)}


def _visitors(lake: Lake, site: Site, run_id: str) -> list[dict[str, Any]]:
    """Unique visitors of the run by business day, as a range."""
    (span,) = lake.rows(
        "SELECT epoch_us(min(first_time)) AS first_us, epoch_us(max(last_time)) AS last_us FROM tracklets "
        "WHERE run_id = $run",
        {"run": run_id},
    )
    if span["first_us"] is None:
        return []
    question = Question(site.site, site.business_day, span["first_us"], span["last_us"] + 1)
    return [
        asdict(found) | {"day": found.day.isoformat(), "estimated": True}
        for found in unique_visitors(lake, question, run_id=run_id)
    ]


def _work(cameras: Sequence[CameraStatus]) -> dict[str, Any]:
    """Frames analysed in this process's time, from the first request to the last answer; start-up is not in it."""
    began = [camera.began_s for camera in cameras if camera.began_s is not None]
    worked = [camera.worked_s for camera in cameras if camera.worked_s is not None]
    seconds = max(worked) - min(began) if began and worked else 0.0
    frames = sum(camera.frames for camera in cameras)
    return {
        "frames": frames,
        "seconds": round(seconds, 3),
        "frames_per_s": round(frames / seconds, 2) if seconds > 0 else None,
    }


def _length_s(span: CameraSpan) -> float:
    return 0.0 if span.end_us is None else (span.end_us - span.start_us) / US_PER_S
