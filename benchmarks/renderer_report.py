"""Tables of the simulated cameras' speed and realism, from renderer.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def renderer_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; parts that were not measured yet are left out."""
    made: dict[str, str] = {}
    if report is None:
        return made
    if "speed" in report:
        made["renderer, speed"] = speed(report["speed"])
    if "clips" in report:
        made["renderer, clips"] = clips(report["clips"])
    if "realism" in report:
        made["renderer, realism"] = realism(report["realism"])
        made["renderer, empty stores"] = empty_stores(report["realism"])
    return made


def speed(found: Mapping[str, Any]) -> str:
    """Drawing alone, on two processes."""
    rows = (
        [
            name,
            f"{entry['ticks_per_s']:.1f}",
            f"{entry['ticks_per_s_if_both_cores_were_free']:.1f}",
            f"{entry['cpu_ms_per_picture']:.1f}",
            f"{entry['people_per_picture']:.1f}",
        ]
        for name, entry in found.items()
        if name != "measured_on"
    )
    return table(
        [
            "renderer and picture",
            "ticks of four cameras a second",
            "the same with two free cores",
            "CPU ms a picture",
            "people in a picture",
        ],
        rows,
    )


def clips(found: Mapping[str, Any]) -> str:
    """From the crowd to finished files."""
    rows = (
        [name, *(f"{entry[key]:.1f}" for key in ("ticks_per_s", "cpu_ms_per_frame", "wall_s")), entry["frames"]]
        for name, entry in found.items()
        if name != "measured_on"
    )
    return table(
        ["clips of four cameras", "ticks a second", "CPU ms a frame", "seconds in all", "frames written"], rows
    )


def realism(found: Mapping[str, Any]) -> str:
    """Recall of people at least 80 px tall and half visible, by height and by visible share."""
    inputs = found["inputs"]
    groups = next(iter(inputs.values()))["recall"]
    rows = (
        [_named(name), entry["people"], *(_recall(part["recall"][name]) for part in inputs.values())]
        for name, entry in groups.items()
    )
    return table(["people", "counted", *(f"recall, detector at {name}" for name in inputs)], rows)


def empty_stores(found: Mapping[str, Any]) -> str:
    """Precision, and what is found where nobody is."""
    lines = [f"{found['shops']} random shops, {found['empty_views']} views of them without people:", ""]
    for name, part in found["inputs"].items():
        plain, with_things = (part["empty_stores"][f"persons_{word}_decoys"] for word in ("without", "with"))
        lines.append(
            f"- detector at {name}: precision {part['precision']:.3f} of {part['detections']} boxes; in the empty "
            f"views {plain} persons, and {with_things} where mannequins, posters, mirrors and trolleys stand"
        )
    return "\n".join(lines) + "\n"


def _named(name: str) -> str:
    return "all that are 80 px tall and half visible" if name == "all" else name


def _recall(entry: Mapping[str, Any]) -> str:
    low, high = entry["interval_95"]
    return "not measured" if entry["recall"] is None else f"{entry['recall']:.3f} ({low:.2f} to {high:.2f})"
