"""What a live run finds of its predecessors: a run that crashed left a hole, and coverage must show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from retail_ray.config import Site
from retail_ray.core.records import CoverageRow
from retail_ray.core.time import US_PER_MINUTE, US_PER_S, minute_of
from retail_ray.lake.epochs import drop_states, recover
from retail_ray.lake.runs import finish_run, runs

LONGEST_HOLE_US = 24 * 3600 * US_PER_S


def close_crashed_runs(lake: Path, site: Site, now_us: int) -> list[CoverageRow]:
    """Finish live runs of this site that never ended, at their last commit; rows for the time since the newest."""
    hole_from_us: int | None = None
    for run in runs(lake, site.site):
        if run.status != "running" or any(span.end_us is not None for span in run.cameras):
            continue
        commit = recover(lake, run.run_id)
        end_us = run.started_us if commit is None else int(commit.extra["end_us"])
        end_us = max(min(end_us, now_us), run.started_us)
        finish_run(lake, run.run_id, end_us, [replace(span, end_us=end_us) for span in run.cameras])
        drop_states(lake, run.run_id)
        hole_from_us = end_us if hole_from_us is None else max(hole_from_us, end_us)
    if hole_from_us is None:
        return []
    return hole_rows(site, max(hole_from_us, now_us - LONGEST_HOLE_US), now_us)


def hole_rows(site: Site, from_us: int, to_us: int) -> list[CoverageRow]:
    """Coverage rows of all cameras for [from, to): everything expected, nothing processed."""
    rows = []
    for minute_us in range(minute_of(from_us), to_us, US_PER_MINUTE):
        covered_us = min(minute_us + US_PER_MINUTE, to_us) - max(minute_us, from_us)
        for camera in site.cameras:
            expected = round(camera.analysis_fps * covered_us / US_PER_S)
            rows.append(CoverageRow(camera.id, minute_us, expected, 0, 0, "down"))
    return rows
