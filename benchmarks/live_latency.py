"""How long a live camera's frame takes until the live state knows it, and until its rows can be read.

python -m benchmarks.live_latency [--seconds 60] [--cameras 1] [--out FILE]   ->  benchmarks/results/live_latency.json

A file plays at its own pace as if live, so a frame's event time is the moment at which it arrived. Ten times a second
the camera, the live state of the site and the lake are asked how far they are; what is behind the clock is latency.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import ray

from benchmarks.clips import looped, towncentre
from benchmarks.environment import RESULTS, describe
from benchmarks.speed import DEFAULT_FPS, site
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.lake.views import open_lake
from retail_ray.runtime.job import Job
from retail_ray.runtime.naming import camera_name, site_name
from retail_ray.runtime.options import JobOptions
from retail_ray.runtime.pace import wall_clock_us
from retail_ray.runtime.session import deployed_models, ray_session

ASK_EVERY_S = 0.1
ANSWER_WITHIN_S = 30.0
LOOP_S = 10.0
_ROWS_US = "SELECT epoch_us(max(time)) AS newest_us FROM detections"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "live_latency.json")
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = looped(towncentre().source, Path(folder) / "long.mp4", math.ceil(arguments.seconds / LOOP_S) + 1)
        written = site(Path(folder), clip, cameras=arguments.cameras, fps=DEFAULT_FPS, name="live")
        store = load_site(written).model_copy(update={"lake": str(Path(folder) / "lake")})
        behind = watched(store, arguments.seconds)
        processed = coverage_share(Path(store.lake))
    report = {
        "environment": describe(),
        "cameras": arguments.cameras,
        "analysis_fps": DEFAULT_FPS,
        "seconds": arguments.seconds,
        "live_latency_s": store.runtime.live_latency_s,
        "live_epoch_s": store.runtime.live_epoch_s,
        "processed_share": processed,
        "behind_s": {what: spread(np.array(values)) for what, values in behind.items()},
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["behind_s"], indent=1))


def watched(store: Site, seconds: float) -> dict[str, list[float]]:
    """What was asked -> seconds by which its newest event time was behind the clock, from its first answer on."""
    behind: dict[str, list[float]] = defaultdict(list)
    with ray_session() as own_ray, deployed_models(store, own_ray=own_ray) as handles, ThreadPoolExecutor(1) as pool:
        options = JobOptions(live=True, duration_s=seconds, command="benchmarks.live_latency")
        running = pool.submit(Job(store, handles, options).run)
        ends_at = time.monotonic() + seconds
        while not running.done() and time.monotonic() < ends_at:
            for what, newest_us in newest(store):
                behind[what].append((wall_clock_us() - newest_us) / 1e6)
            time.sleep(ASK_EVERY_S)
        running.result()
    return behind


def newest(store: Site) -> list[tuple[str, int]]:
    """Newest event time that each place knows; places that know none yet are left out."""
    known: dict[str, int | None] = {}
    try:
        live, _ = ray.get(ray.get_actor(site_name(store.site)).live.remote(), timeout=ANSWER_WITHIN_S)
        cameras = [ray.get_actor(camera_name(store.site, camera.id)).status.remote() for camera in store.cameras]
        reached_us = [status.last_frame_us for status in ray.get(cameras, timeout=ANSWER_WITHIN_S)]
    except ValueError:  # The actors are not there yet, or not any more.
        return []
    known["frame worked by its camera"] = None if None in reached_us else min(reached_us)
    known["live state of the site"] = live.worked_until_us or None
    if (Path(store.lake) / "detections").is_dir():
        with open_lake(Path(store.lake)) as lake:
            known["rows in the lake"] = lake.rows(_ROWS_US)[0]["newest_us"]
    # Before the first frame the site stands at the start of the run or the epoch.
    began = known["frame worked by its camera"] is not None
    return [(what, time_us) for what, time_us in known.items() if time_us is not None and began]


def coverage_share(lake_root: Path) -> float:
    with open_lake(lake_root) as lake:
        row = lake.rows("SELECT sum(processed_frames) / sum(expected_frames) AS share FROM coverage")[0]
    return round(float(row["share"]), 4)


def spread(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """Median, 95th percentile and highest, rounded to hundredths."""
    return {
        "median": round(float(np.median(values)), 2),
        "p95": round(float(np.percentile(values, 95)), 2),
        "highest": round(float(values.max()), 2),
        "asked": len(values),
    }


if __name__ == "__main__":
    main()
