"""How fast a year of a store answers: `python -m benchmarks.lake_speed`  ->  benchmarks/results/lake_speed.json.

Questions of a dashboard over a year, warm; what a fresh process pays first; scans and writes of detections; the same
rows and questions in a row store; cost against rows, files and cameras. The lakes are made once, in build/.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.environment import RESULTS, describe
from benchmarks.lake_questions import Dashboard, dashboards
from benchmarks.lake_scans import scans, writes
from benchmarks.row_store import side_by_side
from benchmarks.year_lake import YearLake, YearSettings, year_lake
from retail_ray.lake.rollup_kinds import kinds
from retail_ray.lake.views import Lake, open_lake
from retail_ray.lake.visitors import save_visitor_days

THREADS: Final = 2
WARM_UP: Final = 2


def measured(year: YearSettings, small: YearSettings, repetitions: int) -> Iterator[dict[str, Any]]:
    """Part by part. small: settings of the lakes for the row store and the cost against files and cameras."""
    lake = year_lake(year)
    newest = lake.days[-1]
    yield {
        "year": {"days": year.days, "cameras": year.cameras, "rows": lake.rows, "bytes": lake.file_bytes,
                 "files": lake.files},
        "threads": THREADS,
        "repetitions": repetitions,
    }  # fmt: skip
    yield questions(lake, year.days, repetitions)
    yield {"scans": scans(lake.root, newest, THREADS, repetitions)}
    yield {"writes": writes(lake.root, newest)}
    yield {"row_store": side_by_side(year_lake(small), small)}
    yield {"cost": cost(lake, year, small, repetitions)}


def questions(lake: YearLake, span: int, repetitions: int) -> dict[str, Any]:
    """What summing up the year costs once; then milliseconds of each question: the first, then warm."""
    began = time.perf_counter()
    with open_lake(lake.root, threads=THREADS) as summing:
        saved = [summing.rollups.save(kind, lake.site_id) for kind in kinds()]
        saved.append(save_visitor_days(summing, lake.site_id))
    rolled_up_s = time.perf_counter() - began
    began = time.perf_counter()
    with open_lake(lake.root, threads=THREADS) as opened:
        opened_s = time.perf_counter() - began
        rows = []
        for asked in dashboards(lake, span):
            first_ms, warm_ms = timings(opened, lake, asked, repetitions)
            rows.append(
                {"question": asked.name, "days": asked.days, "first_ms": round(first_ms, 1), **_summary(warm_ms)}
            )
            print(rows[-1], flush=True)
    return {
        "open_s": round(opened_s, 2),
        "rollup": {
            "s": round(rolled_up_s, 1), "bytes": sum(some.bytes for some in saved),
            "days_summed_up": sum(some.summed_up for some in saved),
        },
        "questions": rows,
    }  # fmt: skip


def cost(lake: YearLake, year: YearSettings, small: YearSettings, repetitions: int) -> dict[str, Any]:
    """Stats, footfall and dwell: against the length of the interval, the number of files and of cameras."""
    spans = [days for days in (30, 91, year.days) if days <= year.days]
    shapes = {
        "days": [(lake, days, f"{days} days") for days in spans],
        "files": [(year_lake(replace(small, files=n)), small.days, f"{n} file(s) a table and day") for n in (1, 24)],
        "cameras": [(year_lake(replace(small, cameras=n)), small.days, f"{n} cameras") for n in (4, 16)],
    }
    return {name: [_cost_of(*shape, repetitions) for shape in some] for name, some in shapes.items()}


def _cost_of(lake: YearLake, days: int, what: str, repetitions: int) -> dict[str, Any]:
    names = ("stats", "footfall by day", "zone dwell, all zones")
    chosen = {
        asked.name: asked for asked in reversed(dashboards(lake, days)) if asked.name in names and asked.whole_days
    }
    found: dict[str, Any] = {"what": what, "tracklets": lake.rows["tracklets"] * days // len(lake.days)}
    with open_lake(lake.root, threads=THREADS) as opened:
        for name in names:
            asked = Dashboard(name, days, chosen[name].asked)
            first_ms, warm_ms = timings(opened, lake, asked, repetitions)
            found[name] = {"first_ms": round(first_ms, 1), "warm_ms": round(float(np.median(warm_ms)), 1)}
    return found


def timings(opened: Lake, lake: YearLake, asked: Dashboard, repetitions: int) -> tuple[float, list[float]]:
    """Milliseconds of the first question, and of `repetitions` warm ones, each over another interval."""
    taken = []
    for number in range(1 + WARM_UP + repetitions):
        question = asked.interval(lake, number)
        began = time.perf_counter()
        asked.asked(opened, question)
        taken.append((time.perf_counter() - began) * 1e3)
    return taken[0], taken[1 + WARM_UP :]


def _summary(taken_ms: list[float]) -> dict[str, float]:
    return {f"p{share}_ms": round(float(np.percentile(taken_ms, share)), 1) for share in (50, 95)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--small-days", type=int, default=14, help="of the lakes for row store, files and cameras")
    parser.add_argument("--visitors", type=float, default=1.0, help="factor on the visitors of every day")
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS / "lake_speed.json")
    arguments = parser.parse_args()
    measured_on = describe()
    year = YearSettings(arguments.days, arguments.cameras, visitors=arguments.visitors)
    small = replace(year, days=arguments.small_days, cameras=4, detection_days=1)
    found: dict[str, Any] = {"measured_on": measured_on}
    for part in measured(year, small, arguments.repetitions):
        found |= part
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
