"""Memory of every process of a long run, per camera, and whether it grows.

python -m benchmarks.memory [--loops 30]   ->  benchmarks/results/memory.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from benchmarks.clips import towncentre
from benchmarks.environment import RESULTS, describe
from benchmarks.speed import DEFAULT_FPS, site

ROLES = ("CameraActor", "GalleryActor", "SiteActor", "detector", "embedder")
SAMPLE_EVERY_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loops", type=int, default=30)
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = looped(towncentre().source, Path(folder) / "long.mp4", arguments.loops)
        runs = [measure(Path(folder), clip, cameras) for cameras in (1, 2, 4)]
    report = {"environment": describe(), "clip_loops": arguments.loops, "analysis_fps": DEFAULT_FPS, "runs": runs}
    (RESULTS / "memory.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(runs, indent=1))


def measure(work: Path, clip: Path, cameras: int) -> dict[str, Any]:
    """One run; unique set size (memory that no other process shares) of each actor and replica, MiB."""
    path = site(work, clip, cameras=cameras, fps=DEFAULT_FPS, name=f"memory-{cameras}")
    command = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(path), "--json"]
    samples: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=work) as lake:
        process = subprocess.Popen([*command, "--lake", lake], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            for role, pid, uss_mib in actors_of(process.pid):
                samples[role, pid].append((time.monotonic(), uss_mib))
            time.sleep(SAMPLE_EVERY_S)
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
    return {
        "cameras": cameras,
        "frames": summary["work"]["frames"],
        "frames_per_s": summary["work"]["frames_per_s"],
        "coverage": summary["coverage"]["share"],
        "processes": [
            {"role": role, **growth(np.array(rows))} for (role, _), rows in sorted(samples.items()) if len(rows) > 4
        ],
    }


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


def growth(rows: np.ndarray[Any, Any]) -> dict[str, float]:
    """Highest value, and the slope over the second half of the time, where everything is warm."""
    seconds, mib = rows[:, 0] - rows[0, 0], rows[:, 1]
    late = seconds >= seconds[-1] / 2
    slope = float(np.polyfit(seconds[late], mib[late], 1)[0]) if late.sum() > 2 else 0.0
    return {
        "peak_mib": round(float(mib.max()), 1),
        "end_mib": round(float(np.median(mib[late])), 1),
        "growth_mib_per_minute": round(slope * 60, 2),
        "seconds": round(float(seconds[-1]), 1),
    }


def looped(source: Path, target: Path, loops: int) -> Path:
    """The clip so many times in a row, remuxed without decoding."""
    with av.open(str(target), "w") as writing:
        stream, offset = None, 0
        for _ in range(loops):
            with av.open(str(source)) as reading:
                video = reading.streams.video[0]
                stream = stream or writing.add_stream_from_template(video)
                end = 0
                for packet in reading.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    writing.mux(packet)
                offset += end
    return target


if __name__ == "__main__":
    main()
