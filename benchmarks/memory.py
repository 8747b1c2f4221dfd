"""Memory of every process of a long run, per camera, and whether it grows.

python -m benchmarks.memory [--minutes 30] [--cameras 1 2 4] [--out FILE]   ->  benchmarks/results/memory.json

Each run lasts so many minutes of wall time, counted from the first sample of its camera actors; then it is ended. The
growth is that of the second half, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from numpy.typing import NDArray
from scipy.stats import linregress
from scipy.stats import t as student_t

from benchmarks.clips import looped, towncentre
from benchmarks.environment import RESULTS, describe
from benchmarks.speed import DEFAULT_FPS, site
from retail_ray.lake.views import open_lake

ROLES = ("CameraActor", "GalleryActor", "SiteActor", "detector", "embedder")
SAMPLE_EVERY_S = 1.0
# Parts of the second half whose means the slope is fitted to.
BLOCKS = 10
# Seconds of video that the machine analyses in one: the clip is made long enough for that, 220 MB for each minute.
FASTEST_SECONDS_PER_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0, help="wall time of each run")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4], help="one run for each number")
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    arguments = parser.parse_args()
    with av.open(str(towncentre().source)) as container:
        clip_s = (container.duration or 0) / av.time_base
    loops = math.ceil(arguments.minutes * 60 * FASTEST_SECONDS_PER_S / clip_s)
    with tempfile.TemporaryDirectory() as folder:
        clip = looped(towncentre().source, Path(folder) / "long.mp4", loops)
        runs = [measure(Path(folder), clip, cameras, arguments.minutes * 60) for cameras in arguments.cameras]
    report = {"environment": describe(), "minutes": arguments.minutes, "analysis_fps": DEFAULT_FPS, "runs": runs}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(runs, indent=1))


def measure(work: Path, clip: Path, cameras: int, seconds: float) -> dict[str, Any]:
    """One run; unique set size (memory that no other process shares) of each actor and replica, MiB."""
    path = site(work, clip, cameras=cameras, fps=DEFAULT_FPS, name=f"memory-{cameras}")
    command = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(path), "--json"]
    with tempfile.TemporaryDirectory(dir=work) as lake:
        process = subprocess.Popen(
            [*command, "--lake", lake], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            samples = watched(process, seconds)
        finally:
            ended = process.poll() is not None
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        frames = committed_frames(Path(lake))
    return {
        "cameras": cameras,
        "ended_before_its_time": ended,
        "committed_frames": frames,
        "processes": [
            {"role": role, **growth(np.array(rows))}
            for (role, _), rows in sorted(samples.items())
            if len(rows) > BLOCKS
        ],
    }


def watched(process: subprocess.Popen[bytes], seconds: float) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """(role, process) -> (time in s, MiB) each second, from the first camera actor on for so many seconds."""
    samples: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    began: float | None = None
    while process.poll() is None and (began is None or time.monotonic() - began < seconds):
        for role, pid, uss_mib in actors_of(process.pid):
            samples[role, pid].append((time.monotonic(), uss_mib))
        if began is None and any(role == "CameraActor" for role, _ in samples):
            began = time.monotonic()
        time.sleep(SAMPLE_EVERY_S)
    return samples


def committed_frames(lake_root: Path) -> int:
    with open_lake(lake_root) as lake:
        return int(lake.rows("SELECT coalesce(sum(processed_frames), 0)::BIGINT AS frames FROM coverage")[0]["frames"])


def actors_of(driver_pid: int) -> list[tuple[str, int, float]]:
    found = []
    try:
        children = psutil.Process(driver_pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    for child in children:
        try:
            title = " ".join(child.cmdline())
            role = next((role for role in ROLES if title.startswith("ray::") and role in title), None)
            if role is not None:
                found.append((role, child.pid, child.memory_full_info().uss / 2**20))
        except psutil.Error:
            continue
    return found


def growth(rows: NDArray[np.float64]) -> dict[str, float]:
    """Of (time in s, MiB) rows: the peak, and the slope over the second half with its 95 % interval.

    Samples a second apart are not independent, so the line is fitted to the means of blocks of the half.
    """
    seconds, mib = rows[:, 0] - rows[0, 0], rows[:, 1]
    late = seconds >= seconds[-1] / 2
    blocks = [
        (s.mean(), m.mean()) for s, m in zip(*(np.array_split(a[late], BLOCKS) for a in (seconds, mib)), strict=True)
    ]
    minutes, level = np.array([s for s, _ in blocks]) / 60, np.array([m for _, m in blocks])
    fitted = linregress(minutes, level)
    half = float(student_t.ppf(0.975, BLOCKS - 2) * fitted.stderr)
    return {
        "peak_mib": round(float(mib.max()), 1),
        "end_mib": round(float(np.median(mib[late])), 1),
        "growth_mib_per_minute": round(float(fitted.slope), 2),
        "growth_low": round(float(fitted.slope) - half, 2),
        "growth_high": round(float(fitted.slope) + half, 2),
        "seconds": round(float(seconds[-1]), 1),
    }


if __name__ == "__main__":
    main()
