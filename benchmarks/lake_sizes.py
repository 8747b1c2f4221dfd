"""Bytes of a day of 16 cameras, by table, before and after compaction: `python -m benchmarks.lake_sizes`.

Simulates a day without video as a user does, compacts it as `retail-ray lake compact` does, and compares with the
budget. Writes benchmarks/results/lake_sizes.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.environment import RESULTS, describe
from retail_ray.lake.schemas import TABLES

CLI: Final = (sys.executable, "-m", "retail_ray.cli")
CAMERAS: Final = 16
BUDGET_BYTES: Final = {"detections": 500_000_000, "journeys": 50_000_000}


def measured(hours: float, folder: Path) -> dict[str, Any]:
    """Rows, files and bytes by table; seconds of the compaction, and whether the lake is sound after it."""
    made, lake = folder / "made", folder / "made" / "lake"
    _run("simulate", "events", "--hours", f"{hours:g}", "--cameras", f"{CAMERAS}", "--seed", "1", "--out", str(made))
    before = _sizes(lake)
    began = time.monotonic()
    _run("lake", "compact", "--lake", str(lake))
    compact_s = time.monotonic() - began
    after = _sizes(lake)
    checked = json.loads(_run("lake", "check", "--lake", str(lake), "--json"))
    return {
        "hours": hours,
        "cameras": CAMERAS,
        "rows": checked["rows"],
        "is_sound_after_compaction": checked["is_sound"],
        "compact_s": round(compact_s, 1),
        "budget_bytes": BUDGET_BYTES,
        "tables": {
            table: {"files": before[table][0], "bytes": before[table][1], "files_after": n, "bytes_after": size}
            for table, (n, size) in after.items()
        },
    }


def _sizes(lake: Path) -> dict[str, tuple[int, int]]:
    found = {table: [path.stat().st_size for path in (lake / table).rglob("*.parquet")] for table in TABLES}
    return {table: (len(sizes), sum(sizes)) for table, sizes in found.items()}


def _run(*words: str) -> str:
    return subprocess.run([*CLI, *words], stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "lake_sizes.json")
    arguments = parser.parse_args()
    measured_on = describe()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(arguments.hours, Path(folder)) | {"measured_on": measured_on}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "measured_on"}, indent=1))


if __name__ == "__main__":
    main()
