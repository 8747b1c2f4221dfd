"""What is concluded from measured speeds and memory: exact on made-up measurements, and printable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.memory import growth
from benchmarks.report import conclusions as conclusions_table
from benchmarks.report import processes, systems
from benchmarks.speed import CAMERAS, all_systems, conclusions

# Frames per second that give round answers on two cores whose stages cost 0.02 s of CPU a frame.
RATES = {
    "yolo track, torch": 20.0,
    "yolo track, OpenVINO INT8, 1 process": 60.0,
    "yolo track, OpenVINO INT8, 2 processes": 75.0,
    "yolo track, OpenVINO INT8, 4 processes": 50.0,
    "plain loop, 1 camera, all frames, 640x640": 80.0,
    "product, 1 camera, all frames, 640x640": 72.0,
    "plain loop, 1 camera, all frames": 100.0,
    "product, 1 camera, all frames": 90.0,
    "plain loop, 2 cameras, all frames": 96.0,
    "product, 2 cameras, all frames": 96.0,
    "plain loop, 4 cameras, all frames": 80.0,
    "product, 4 cameras, all frames": 60.0,
    "product, 1 camera, defaults": 60.0,
    "product, 2 cameras, defaults": 70.0,
    "product, 4 cameras, defaults": 80.0,
}


def report() -> dict[str, Any]:
    entries = {name: {"frames_per_s": rate, "min": rate, "max": rate, "runs": 1} for name, rate in RATES.items()}
    stages = {"detect": 0.015, "rest": 0.005}
    busy = {"detect": 0.018, "rest": 0.007}
    return {
        "environment": {"cores_usable": 2},
        "systems": entries,
        "stages_cpu_s_per_frame": stages,
        "stages_cpu_s_per_frame_all_cores_busy": busy,
    }


def test_conclusions_follow_from_the_measured_speeds() -> None:
    told = conclusions(report())
    assert told["limit_frames_per_s"] == 100.0
    assert told["efficiency"] == {1: 0.9, 2: 0.96, 4: 0.6}
    assert told["efficiency_all_cores_busy"] == {1: 1.125, 2: 1.2, 4: 0.75}
    assert told["ray_tax"] == {
        "384x640, 1 camera": 0.1,
        "384x640, 2 cameras": 0.0,
        "384x640, 4 cameras": 0.25,
        "640x640, 1 camera": 0.1,
    }
    assert told["against_best_peer_same_frames"] == {1: 1.2, 2: 1.28, 4: 0.8}
    assert told["defaults_against_yolo"] == {1: 3.0, 2: 3.5, 4: 4.0}


def test_every_system_that_is_concluded_from_is_measured_and_none_else(tmp_path: Path) -> None:
    clips = {count: tmp_path / f"clip-{count}.mp4" for count in CAMERAS}
    assert set(all_systems(tmp_path, clips, tmp_path / "yolo11n.pt")) == set(RATES)


def test_every_conclusion_stands_in_the_tables() -> None:
    whole = report()
    # As it comes back from JSON, where keys are texts.
    whole |= {
        key: {f"{k}": v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in conclusions(whole).items()
    }
    table = conclusions_table(whole)
    for words in ("Ray tax, 384x640, 4 cameras | 25.0%", "product defaults, 2 cameras, against one", "1.28 ×"):
        assert words in table
    assert systems(whole).count("\n") == len(RATES) + 2


def samples(slope_mib_per_minute: float, noise_mib: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Ten minutes, a sample a second: warming up for five, then level or growing, with slow noise."""
    seconds = np.arange(600.0)
    wander = np.convolve(np.random.default_rng(seed).normal(0, noise_mib, 620), np.ones(21) / 21**0.5, "valid")
    warm = 500 - 400 * np.exp(-seconds / 30)
    return np.column_stack([seconds, warm + slope_mib_per_minute * seconds / 60 + wander])


@pytest.mark.parametrize("slope", [0.0, 2.0, -1.0])
def test_growth_is_that_of_the_second_half(slope: float) -> None:
    told = growth(samples(slope, 0.0))
    assert told["growth_mib_per_minute"] == pytest.approx(slope, abs=0.02)
    assert told["growth_low"] <= told["growth_mib_per_minute"] <= told["growth_high"]


@pytest.mark.parametrize(("slope", "grows"), [(0.0, False), (5.0, True)])
def test_the_interval_tells_growth_from_wandering(slope: float, *, grows: bool) -> None:
    """Of runs that are level, few may look as if they grew; a leak of 5 MiB a minute must be seen."""
    seen = sum(growth(samples(slope, 3.0, seed))["growth_low"] > 0 for seed in range(40))
    assert seen == 40 if grows else seen <= 4


def test_a_run_that_was_watched_for_seconds_has_no_interval() -> None:
    old = {"role": "detector", "peak_mib": 1.0, "growth_mib_per_minute": 3.0, "seconds": 40.0}
    new = old | growth(samples(2.0, 0.0)) | {"role": "embedder"}
    table = processes({"runs": [{"cameras": 1, "processes": [old, new]}]})
    assert "| 3.0 |" in table
    assert f"{new['growth_mib_per_minute']} ({new['growth_low']} to {new['growth_high']})" in table
