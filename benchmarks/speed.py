"""Speed of the product against `yolo track` on the same frames with the same weights, interleaved, medians.

python -m benchmarks.speed [--repeats 5] [--frames 302] [--plays 4] [--out FILE]   ->  benchmarks/results/speed.json

Every system takes its turn in each round, and so do the stages alone. One camera plays the clip four times in a row,
two cameras twice, four once: every run works through equally many frames, so that what happens once a run weighs alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import yaml

from benchmarks.clips import SHARED, WEIGHTS, looped, towncentre
from benchmarks.environment import RESULTS, describe

REID = SHARED / "weights" / "osnet_x0_25_msmt17.onnx"
DEFAULT_FPS, NATIVE_FPS = 10.0, 30.0
CAMERAS = (1, 2, 4)
CORES = len(os.sched_getaffinity(0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=302)
    parser.add_argument("--plays", type=int, default=4, help="of the clip by one camera")
    parser.add_argument("--shared", help="set through RETAIL_RAY_SHARED; taken for the Makefile's sake")
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.json")
    parser.add_argument("--torch-weights", type=Path, help="yolo11n.pt; made from the shared weights when not given")
    arguments = parser.parse_args()
    environment = describe()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        once = trimmed(towncentre().source, work / "clip.mp4", arguments.frames)
        plays = {n: max(1, arguments.plays // n) for n in CAMERAS}
        clips = {n: looped(once, work / f"clip-{n}.mp4", plays[n]) for n in CAMERAS}
        torch_weights = arguments.torch_weights or rebuilt_torch_weights(work)
        systems = all_systems(work, clips, torch_weights)
        rounds = Rounds(environment, arguments.frames, plays, {name: [] for name in systems}, {1: [], CORES: []})
        stages_site = site(work, once, cameras=1, fps=NATIVE_FPS, name="stages")
        for repeat in range(arguments.repeats):
            for name, run in systems.items():
                measured = run()
                rounds.times[name].append(measured)
                print(f"{repeat + 1}/{arguments.repeats} {name}: {measured['frames_per_s']:.1f} frames/s", flush=True)
            for copies, turns in rounds.stages.items():
                turns.append(run_stages(stages_site, copies))
                print(f"{repeat + 1}/{arguments.repeats} stages, {copies} at once: {turns[-1]}", flush=True)
            # Whoever ends it early keeps the rounds that are whole.
            arguments.out.write_text(json.dumps(rounds.report(), indent=1) + "\n")
    print(json.dumps(conclusions(rounds.report()), indent=1))


@dataclass(frozen=True)
class Rounds:
    """What was measured so far, round by round. stages: by how many copies ran at once."""

    environment: dict[str, Any]
    frames: int
    plays: dict[int, int]
    times: dict[str, list[dict[str, float]]]
    stages: dict[int, list[dict[str, float]]]

    def report(self) -> dict[str, Any]:
        """Medians of the rounds that are whole, and what follows."""
        whole = len(self.stages[CORES])
        stages = {copies: turns[:whole] for copies, turns in self.stages.items()}
        report = {
            "environment": self.environment,
            "clip": {"frames": self.frames, "plays": self.plays, "size": "1920x1080", "native_fps": NATIVE_FPS},
            "systems": {name: summarise(runs[:whole]) for name, runs in self.times.items()},
            "stages_cpu_s_per_frame": medians(stages[1]),
            "stages_cpu_s_per_frame_all_cores_busy": medians(stages[CORES]),
            "stages_rounds": stages,
        }
        return report | conclusions(report)


def all_systems(
    work: Path, clips: Mapping[int, Path], torch_weights: Path
) -> dict[str, Callable[[], dict[str, float]]]:
    """Name -> a run of it; every run is a fresh process. clips: by how many cameras, or processes, play it at once."""

    def yolo(weights: Path, processes: int) -> Callable[[], dict[str, float]]:
        return lambda: run_yolo(weights, clips[processes], processes)

    def product(count: int, fps: float, *more: str, **detector: Any) -> Callable[[], dict[str, float]]:
        name = f"p{count}-{fps:g}-{len(more)}-{len(detector)}"
        return lambda: run_product(site(work, clips[count], cameras=count, fps=fps, name=name, **detector), work, *more)

    systems = {
        "yolo track, torch": lambda: run_yolo(torch_weights, clips[max(clips)], 1),
        "yolo track, OpenVINO INT8, 1 process": yolo(WEIGHTS, 1),
        "yolo track, OpenVINO INT8, 2 processes": yolo(WEIGHTS, 2),
        "yolo track, OpenVINO INT8, 4 processes": yolo(WEIGHTS, 4),
        "plain loop, 1 camera, all frames, 640x640": product(1, NATIVE_FPS, "--in-process", rectangular=False),
        "product, 1 camera, all frames, 640x640": product(1, NATIVE_FPS, rectangular=False),
    }
    for count in CAMERAS:
        systems[f"plain loop, {cameras(count)}, all frames"] = product(count, NATIVE_FPS, "--in-process")
        systems[f"product, {cameras(count)}, all frames"] = product(count, NATIVE_FPS)
    for count in CAMERAS:
        systems[f"product, {cameras(count)}, defaults"] = product(count, DEFAULT_FPS)
    return systems


def cameras(count: int) -> str:
    return f"{count} camera{'s' * (count > 1)}"


def site(work: Path, clip: Path, *, cameras: int, fps: float, name: str, **detector: Any) -> Path:
    """A site that plays the clip on so many cameras; embeddings and floor off nothing: the defaults of the product."""
    content = {
        "site": "bench",
        "timezone": "UTC",
        "cameras": [
            {
                "id": f"camera-{i}",
                "uri": str(clip),
                "recorded_at": "2026-03-02T10:00:00+00:00",
                "analysis_fps": fps,
                "floor": {"points": [{"px": [x, y], "m": [x / 100, y / 100]} for x in (0, 1900) for y in (0, 1000)]},
            }
            for i in range(cameras)
        ],
        "lines": [{"id": "line", "camera": "camera-0", "m": [[0, 5], [19, 5]], "inside_m": [9, 1]}],
        "zones": [{"id": "zone", "m": [[2, 2], [10, 2], [10, 8], [2, 8]]}],
        "models": {"detector": {"weights": str(WEIGHTS), **detector}, "embedder": {"weights": str(REID)}},
    }
    path = work / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run_product(site_path: Path, work: Path, *more: str, lake: Path | None = None) -> dict[str, float]:
    """`retail-ray run` into a fresh lake; frames and seconds of work as its summary tells them."""
    with tempfile.TemporaryDirectory(dir=work) as passing:
        target = str(lake or passing)
        command = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(site_path), "--lake", target, "--json"]
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True, timeout=600)
    work_done: dict[str, float] = json.loads(done.stdout)["work"]
    return work_done


def run_yolo(weights: Path, clip: Path, processes: int) -> dict[str, float]:
    """So many processes at once; from the first that begins to the last that ends."""
    command = [sys.executable, "-m", "benchmarks.peer_yolo", "--weights", str(weights), "--clip", str(clip)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    told = [json.loads(process.communicate(timeout=600)[0].strip().splitlines()[-1]) for process in started]
    seconds = max(t["worked_s"] for t in told) - min(t["began_s"] for t in told)
    total = sum(t["frames"] for t in told)
    return {"frames": total, "seconds": seconds, "frames_per_s": total / seconds}


def run_stages(site_path: Path, copies: int) -> dict[str, float]:
    """CPU seconds per frame of each stage alone, in a process of its own; the mean of so many that run at once."""
    command = [sys.executable, "-m", "benchmarks.stages", "--site", str(site_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(copies)]
    told = [json.loads(process.communicate(timeout=600)[0].splitlines()[-1]) for process in started]
    return {name: statistics.fmean(each[name] for each in told) for name in told[0]}


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def trimmed(source: Path, target: Path, frames: int) -> Path:
    """The first frames of a clip, remuxed without decoding."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for number, packet in enumerate(reading.demux(reading.streams.video[0])):
            if number >= frames or packet.dts is None:
                break
            packet.stream = stream
            writing.mux(packet)
    return target


def rebuilt_torch_weights(work: Path) -> Path:
    """Float weights with the values of the shared INT8 network, for the torch backend of the peer."""
    target = work / "yolo11n.pt"
    command = [sys.executable, "-m", "tests.support.yolo_weights", "--shared", str(SHARED.parent), "--out", str(target)]
    subprocess.run(command, check=True, timeout=300)
    return target


def summarise(runs: list[dict[str, float]]) -> dict[str, Any]:
    rates = sorted(run["frames_per_s"] for run in runs)
    return {
        "frames_per_s": statistics.median(rates),
        "min": rates[0],
        "max": rates[-1],
        "runs": len(rates),
        "frames": runs[0]["frames"],
    }


def conclusions(report: dict[str, Any]) -> dict[str, Any]:
    """Limit, efficiency and Ray tax (docs/architecture.md), and the ratios against the peers."""
    fps = {name: entry["frames_per_s"] for name, entry in report["systems"].items()}
    cores = report["environment"]["cores_usable"]
    limit = cores / sum(report["stages_cpu_s_per_frame"].values())
    busy_limit = cores / sum(report["stages_cpu_s_per_frame_all_cores_busy"].values())
    product = {n: fps[f"product, {cameras(n)}, all frames"] for n in CAMERAS}
    plain = {n: fps[f"plain loop, {cameras(n)}, all frames"] for n in CAMERAS}
    best_peer = max(rate for name, rate in fps.items() if name.startswith("yolo"))
    seconds_per_s = {n: fps[f"product, {cameras(n)}, defaults"] / DEFAULT_FPS for n in CAMERAS}
    yolo = fps["yolo track, OpenVINO INT8, 1 process"]
    same_input = fps["product, 1 camera, all frames, 640x640"]
    same_input_plain = fps["plain loop, 1 camera, all frames, 640x640"]
    return {
        "limit_frames_per_s": round(limit, 2),
        "limit_frames_per_s_all_cores_busy": round(busy_limit, 2),
        "efficiency": {n: round(rate / limit, 3) for n, rate in product.items()},
        "efficiency_all_cores_busy": {n: round(rate / busy_limit, 3) for n, rate in product.items()},
        "ray_tax": {
            **{f"384x640, {cameras(n)}": round(1 - product[n] / plain[n], 3) for n in CAMERAS},
            f"640x640, {cameras(1)}": round(1 - same_input / same_input_plain, 3),
        },
        "against_best_peer_same_frames": {n: round(rate / best_peer, 2) for n, rate in product.items()},
        "against_yolo_1_process_same_frames_same_input": round(same_input / yolo, 2),
        "camera_seconds_per_s": {
            "yolo track, OpenVINO INT8": round(yolo / NATIVE_FPS, 2),
            **{f"product defaults, {n} cameras": round(rate, 2) for n, rate in seconds_per_s.items()},
        },
        "defaults_against_yolo": {n: round(rate / (yolo / NATIVE_FPS), 2) for n, rate in seconds_per_s.items()},
    }


if __name__ == "__main__":
    main()
