"""Tables of renderer, events and demo say what their results hold, and nothing where there are none."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from benchmarks.demo_report import CLIPS, COMMAND, demo_tables, shipped_clips
from benchmarks.event_report import event_tables
from benchmarks.renderer import HEIGHTS_PX, SHARES, _recalls
from benchmarks.renderer_report import renderer_tables
from retail_ray.evaluation.measures import wilson

MACHINE = {"cores_usable": 2, "cpu": "a processor", "load_1min": 0.5}


def people(hits: int, misses: int, height: float, share: float) -> list[tuple[float, float, bool]]:
    return [(height, share, True)] * hits + [(height, share, False)] * misses


def test_recall_by_height_and_by_visibility_stands_with_its_interval() -> None:
    rows = people(3, 1, 100, 0.95) + people(1, 1, 300, 0.6) + people(0, 9, 70, 1.0) + people(0, 9, 100, 0.4)
    empty = {"persons_without_decoys": 0, "persons_with_decoys": 1}
    part = {"recall": _recalls(rows), "precision": 0.9, "detections": 10, "empty_stores": empty}
    made = renderer_tables({"realism": {"shops": 1, "empty_views": 3, "inputs": {"8x8": part, "16x16": part}}})
    assert "3 views" in made["renderer, empty stores"]
    lines = made["renderer, realism"].splitlines()
    low, high = wilson(4, 6)
    shown = f"0.667 ({low:.2f} to {high:.2f})"
    assert f"| all that are 80 px tall and half visible | 6 | {shown} | {shown} |" in lines
    assert any(line.startswith("| 80-130 px | 4 | 0.750 (") for line in lines)
    assert any(line.startswith("| visible 0.5-0.9 | 2 | 0.500 (") for line in lines)
    assert "| 130-220 px | 0 | not measured | not measured |" in lines
    assert len(lines) == 2 + 1 + len(HEIGHTS_PX) - 1 + len(SHARES) - 1


def test_a_part_that_was_not_measured_has_no_table() -> None:
    assert renderer_tables(None) == event_tables(None) == demo_tables(None) == {}
    speed = {"ticks_per_s": 1.0, "ticks_per_s_if_both_cores_were_free": 2.0, "cpu_ms_per_picture": 3.0}
    made = renderer_tables({"speed": {"gl 8x8": speed | {"people_per_picture": 4.0}, "measured_on": MACHINE}})
    assert list(made) == ["renderer, speed"]
    assert made["renderer, speed"].splitlines()[2] == "| gl 8x8 | 1.0 | 2.0 | 3.0 | 4.0 |"


def test_a_day_is_told_with_the_largest_table_first() -> None:
    report: dict[str, Any] = {
        "hours": 24.0,
        "cameras": 16,
        "wall_s": 80.5,
        "peak_memory_mib": 900,
        "rows": {"journeys": 1500, "detections": 9_000_000},
        "bytes": {"journeys": 90_000, "detections": 400_000_000},
        "interchange_hour": {"wall_s": 9.0, "bytes": {"a.json": 1_000_000, "b.json": 500_000}},
        "measured_on": MACHINE,
    }
    made = event_tables(report)
    assert made["events, tables"].splitlines()[2:] == [
        "| detections | 9,000,000 | 400.0 MB |",
        "| journeys | 1,500 | 90.0 kB |",
    ]
    for words in ("24 hours of 16 cameras: 80.5 s", "400.1 MB", "one busy hour: 9 s, 1.5 MB"):
        assert words in made["events, day"]


@pytest.mark.parametrize("reached", [True, False])
def test_the_demo_says_whether_it_had_a_network(reached: bool) -> None:
    report = {"parts_s": {"work": 61.25}, "total_s": 70.0, "network_within_reach": reached, "measured_on": MACHINE}
    shown = demo_tables(report)["demo, seconds"]
    assert ("without any network" in shown) != reached
    assert "| work | 61.2 |" in shown
    assert "| **until page and API answer** | 70.0 |" in shown


def test_every_shipped_clip_stands_with_its_command() -> None:
    lines = shipped_clips().splitlines()[2:]
    clips = sorted(CLIPS.iterdir())
    assert len(lines) == len(clips) == 4
    for clip, line in zip(clips, lines, strict=True):
        assert clip.name in line
        assert hashlib.sha256(clip.read_bytes()).hexdigest()[:16] in line
        assert COMMAND in line
