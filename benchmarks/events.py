"""A day of 16 cameras without video: `python -m benchmarks.events [--hours 24]`  ->  benchmarks/results/events.json.

Runs `retail-ray simulate events` as a user does, then exports the busiest hour as interchange files.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import RESULTS, describe

CLI = (sys.executable, "-m", "retail_ray.cli")
SEED, CAMERAS = 1, 16
HOUR = ("2026-03-02T12:00", "2026-03-02T13:00")


def measured(hours: float, folder: Path) -> dict[str, Any]:
    """Seconds, rows and bytes by table; objects and bytes of one hour's interchange files."""
    day = ["simulate", "events", "--hours", f"{hours:g}", "--seed", f"{SEED}", "--cameras", f"{CAMERAS}"]
    wall_s, printed = _timed([*day, "--out", str(folder / "day"), "--sizes-as-json"])
    # Of the largest child so far, so before the export.
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    sizes = json.loads(printed)
    lake, out = folder / "day" / "lake", folder / "json"
    export_s, _ = _timed(["export", "--lake", str(lake), "--out", str(out), "--from", HOUR[0], "--to", HOUR[1]])
    return {
        "hours": hours,
        "cameras": CAMERAS,
        "seed": SEED,
        "wall_s": round(wall_s, 1),
        "peak_memory_mib": round(peak_kib / 1024),
        "rows": sizes["rows"],
        "bytes": sizes["bytes"],
        "interchange_hour": {
            "wall_s": round(export_s, 1),
            "bytes": {path.name: path.stat().st_size for path in sorted(out.iterdir())},
        },
    }


def _timed(words: list[str]) -> tuple[float, str]:
    began = time.monotonic()
    done = subprocess.run([*CLI, *words], stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - began, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "events.json")
    arguments = parser.parse_args()
    measured_on = describe()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(arguments.hours, Path(folder)) | {"measured_on": measured_on}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "measured_on"}, indent=1))


if __name__ == "__main__":
    main()
