"""The measured tables of README and docs, from benchmarks/results.

python -m benchmarks.report [--write]   prints them; with --write they replace those in the documents, between
`<!-- measured: NAME -->` and `<!-- end -->`, and the plots in docs are drawn anew.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.association_report import association_tables, pair_tables
from benchmarks.demo_report import demo_tables, shipped_clips
from benchmarks.environment import RESULTS, ROOT
from benchmarks.event_report import event_tables
from benchmarks.identity_report import identity_tables
from benchmarks.lake_speed_report import lake_speed_tables
from benchmarks.long_report import long_tables
from benchmarks.markdown import table as _table
from benchmarks.people_report import people_tables
from benchmarks.queue_report import queue_tables
from benchmarks.recount_report import recount_tables
from benchmarks.renderer_report import renderer_tables
from benchmarks.simulated_report import draw_plots, simulated_tables
from benchmarks.transit_report import transit_tables
from retail_ray.tracking.options import DEFAULT_TRACKER

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NOT_YET = "Not measured yet: `make bench`.\n"
_BLOCK = re.compile(r"(<!-- measured: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

SCORES = ("hota", "det_a", "ass_a", "idf1", "mota", "recall", "precision")
HEADINGS = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "recall", "precision")
LATE = {
    "bench-renderer": ("renderer, speed", "renderer, clips", "renderer, realism", "renderer, empty stores"),
    "bench-events": ("events, day", "events, tables"),
    "bench-demo": ("demo, seconds",),
    "bench-recount": ("recount",),
    "bench-identity": ("identity, links",),
    "bench-live": ("live latency",),
    "bench-long": tuple(f"long recordings, {part}" for part in ("conditions", "identities", "visitors")),
    "bench-determinism": ("determinism",),
    "bench-queues": ("queues, scenes", "queues, accuracy", "queues, abandonment"),
    "bench-lake": tuple(
        f"lake speed, {part}" for part in ("rows", "questions", "scans", "writes", "row store", "cost")
    ),
}
"""Tables that stand in the documents before they are measured; the words say what measures them."""
DEFAULT = f"{DEFAULT_TRACKER}, product defaults"


def tables() -> dict[str, str]:
    """Name -> Markdown; results that were not measured yet are left out, or say so."""
    found = {name: _read(name) for name in ("trackers", "accuracy", "speed", "memory", "live_latency")}
    trackers, whole, speed, memory = (found[name] for name in ("trackers", "accuracy", "speed", "memory"))
    made: dict[str, str] = {}
    if trackers is not None:
        rows = trackers["towncentre"]
        made["default tracker"] = default_tracker(rows)
        made["choice of the tracker"] = trackers["why"] + "\n"
        made["trackers, 10 frames/s, sampled frames"] = comparison(_some(rows, 10.0, "sampled frames"))
        made["trackers, 10 frames/s, all frames"] = comparison(_some(rows, 10.0, "all frames"))
        made["trackers, 30 frames/s"] = comparison(_some(rows, 30.0, "all frames"))
        made["trackers, MOT17 excerpts"] = comparison(trackers["mot17_mini_pooled"])
    if whole is not None:
        made["accuracy"] = accuracy(whole["scores"])
        made |= simulated_tables(whole.get("simulated"))
    if speed is not None:
        made["speed"] = systems(speed)
        made["speed, conclusions"] = conclusions(speed)
        made["speed, stages"] = stages(speed)
    if memory is not None:
        made["memory"] = processes(memory)
    if found["live_latency"] is not None:
        made["live latency"] = latency(found["live_latency"])
    late = {name: f"Not measured yet: `make {target}`.\n" for target, names in LATE.items() for name in names}
    return (
        late
        | made
        | transit_tables(_read("transit"))
        | people_tables(_read("people_traits"))
        | association_tables(_read("identity"))
        | pair_tables(_read("pair_evidence"))
        | long_tables(_read("long_recordings"))
        | renderer_tables(_read("renderer"))
        | event_tables(_read("events"))
        | recount_tables(_read("recount"))
        | lake_speed_tables(_read("lake_speed"))
        | demo_tables(_read("demo"))
        | queue_tables(_read("queues"))
        | identity_tables(*map(_read, ("prototype_index", "gallery_cost", "determinism", "contradictions")))
        | {"demo, clips": shipped_clips()}
    )


def filled(text: str, made: Mapping[str, str]) -> str:
    """A document with its measured blocks as they are now."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{made.get(block[2], NOT_YET)}\n{block[3]}", text)


def accuracy(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The product from video to Parquet, and its peer."""
    return _table(
        ["what ran", *HEADINGS, "id switches"],
        ([name, *_scores(row), row["id_switches"]] for name, row in scores.items()),
    )


def default_tracker(rows: Sequence[Mapping[str, Any]]) -> str:
    """The default tracker at the default and at the full frame rate."""
    kept = [row for row in rows if row["tracker"] == DEFAULT]
    return _table(
        ["analysed", "scored on", *HEADINGS, "id switches"],
        ([f"{row['analysis_fps']:g} frames/s", row["scored_on"], *_scores(row), row["id_switches"]] for row in kept),
    )


def comparison(rows: Iterable[Mapping[str, Any]]) -> str:
    """Every tracker with the product's and with BoxMOT's defaults; the cost where it was measured."""
    kept = sorted((row for row in rows if row["tracker"].endswith("defaults")), key=lambda row: -row["hota"])
    timed = "ms_per_frame" in kept[0]
    return _table(
        ["tracker", *HEADINGS, "id switches", *(["ms a frame", "state, bytes"] if timed else [])],
        (
            [row["tracker"], *_scores(row), row["id_switches"]]
            + ([f"{row['ms_per_frame']:.2f}", row["state_bytes"]] if timed else [])
            for row in kept
        ),
    )


def systems(report: Mapping[str, Any]) -> str:
    """Frames per second of everything that ran."""
    return _table(
        ["what ran", "frames/s, median", "lowest", "highest", "runs"],
        (
            [name, *(f"{entry[key]:.1f}" for key in ("frames_per_s", "min", "max")), entry["runs"]]
            for name, entry in report["systems"].items()
        ),
    )


def conclusions(report: Mapping[str, Any]) -> str:
    """What follows from the frames per second; definitions in docs/architecture.md."""
    seconds = report["camera_seconds_per_s"]
    rows = []
    for words, suffix in (("", ""), (", all cores busy", "_all_cores_busy")):
        limit = report[f"limit_frames_per_s{suffix}"]
        rows += [[f"limit of this machine, 384x640{words}", f"{limit:.1f} frames/s"]]
        efficiency = report[f"efficiency{suffix}"]
        rows += [[f"efficiency{words}, {_cameras(n)}", f"{share:.3f}"] for n, share in efficiency.items()]
    rows += [[f"Ray tax, {shape}", f"{share:.1%}"] for shape, share in report["ray_tax"].items()]
    rows += [
        [f"all frames, {_cameras(n)}, against the fastest `yolo track`", f"{ratio:.2f} ×"]
        for n, ratio in report["against_best_peer_same_frames"].items()
    ]
    rows += [
        [
            "all frames, 1 camera, same 640x640 input, against one `yolo track`",
            f"{report['against_yolo_1_process_same_frames_same_input']:.2f} ×",
        ]
    ]
    peer = "yolo track, OpenVINO INT8"
    rows += [[f"camera-seconds per second, {peer}", f"{seconds[peer]:.2f}"]]
    rows += [
        [
            f"camera-seconds per second, product defaults, {_cameras(n)}",
            f"{seconds[f'product defaults, {n} cameras']:.2f}",
        ]
        for n in report["defaults_against_yolo"]
    ]
    rows += [
        [f"product defaults, {_cameras(n)}, against one `yolo track`", f"{ratio:.2f} ×"]
        for n, ratio in report["defaults_against_yolo"].items()
    ]
    return _table(["", "measured"], rows)


def stages(report: Mapping[str, Any]) -> str:
    """CPU time of each stage alone, and with as many copies at once as there are cores."""
    busy = report["stages_cpu_s_per_frame_all_cores_busy"]
    return _table(
        ["stage", "CPU ms a frame", "CPU ms a frame, all cores busy"],
        (
            [name, f"{seconds * 1e3:.2f}", f"{busy[name] * 1e3:.2f}"]
            for name, seconds in report["stages_cpu_s_per_frame"].items()
        ),
    )


def processes(report: Mapping[str, Any]) -> str:
    """Memory of the actors and replicas, and whether it grows; the interval where the run was long enough for one."""
    return _table(
        ["cameras", "process", "peak, MiB", "growth, MiB a minute", "watched, s"],
        (
            [run["cameras"], p["role"], p["peak_mib"], _growth(p), p["seconds"]]
            for run in report["runs"]
            for p in run["processes"]
        ),
    )


def latency(report: Mapping[str, Any]) -> str:
    """How far behind the clock a live run is, at each place where its frames can be seen."""
    return _table(
        ["how far", "behind the clock, s, median", "95 %", "highest"],
        (
            [what, *(f"{row[key]:.2f}" for key in ("median", "p95", "highest"))]
            for what, row in report["behind_s"].items()
        ),
    )


def _growth(process: Mapping[str, Any]) -> str:
    slope = f"{process['growth_mib_per_minute']}"
    return f"{slope} ({process['growth_low']} to {process['growth_high']})" if "growth_low" in process else slope


def _cameras(count: str) -> str:
    return f"{count} camera{'s' * (int(count) > 1)}"


def _some(rows: Sequence[Mapping[str, Any]], fps: float, scored_on: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["analysis_fps"] == fps and row["scored_on"] == scored_on]


def _scores(row: Mapping[str, Any]) -> list[str]:
    return [f"{row[name]:.3f}" for name in SCORES]


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into README and docs")
    made = tables()
    if parser.parse_args().write:
        draw_plots((_read("accuracy") or {}).get("simulated"), ROOT / "docs")
        for page in PAGES:
            page.write_text(filled(page.read_text(encoding="utf-8"), made), encoding="utf-8")
        return
    for title, table in made.items():
        print(f"{title}\n\n{table}")


if __name__ == "__main__":
    main()
