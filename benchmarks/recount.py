"""How long a recount takes: `python -m benchmarks.recount [--hours 48]`  ->  benchmarks/results/recount.json.

A store of 16 cameras without video (`retail-ray simulate events`), each business day counted anew with one zone moved,
in one process and, where there is more than one day, with Ray. A month is extrapolated and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.environment import RESULTS, describe
from retail_ray.lake.views import open_lake

CLI: Final = (sys.executable, "-m", "retail_ray.cli")
CAMERAS, SEED, MONTH_DAYS = 16, 1, 30
# The simulated business day begins at 4, the shop is open from 8 to 21.
OPENS_AFTER_H, OPEN_H = 4, 13


def measured(hours: int, store: Path) -> dict[str, Any]:
    """Rows read, and seconds of wall and of CPU for each way of counting."""
    if not store.exists():
        _run("simulate", "events", "--hours", f"{hours}", "--seed", f"{SEED}", "--cameras", f"{CAMERAS}", "--out",
             str(store))  # fmt: skip
    document = yaml.safe_load((store / "site.yaml").read_text(encoding="utf-8"))
    zone = document["zones"][1]
    zone["m"] = [[x + 0.5, y] for x, y in zone["m"]]
    changed = store / "changed.yaml"
    changed.write_text(yaml.safe_dump(document), encoding="utf-8")
    with open_lake(store / "lake", max_execution_s=300) as lake:
        rows = lake.rows("SELECT count(*) AS n FROM detections WHERE local_id IS NOT NULL")[0]["n"]
    command = ("recount", "--site", str(changed), "--lake", str(store / "lake"), "--json")
    ways = {"1 process": ("--in-process",)} | ({"2 processes, Ray": ()} if hours > 24 else {})
    open_h = (hours // 24) * OPEN_H + min(OPEN_H, max(0, hours % 24 - OPENS_AFTER_H))
    found = {
        "hours": hours,
        "open_hours": open_h,
        "month_open_hours": MONTH_DAYS * OPEN_H,
        "cameras": CAMERAS,
        "seed": SEED,
        "detections": rows,
    }
    return found | {
        "ways": {name: _counted(MONTH_DAYS * OPEN_H / open_h, *command, *more) for name, more in ways.items()}
    }


def _counted(months_worth: float, *words: str) -> dict[str, Any]:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    load = os.getloadavg()[0]
    printed = json.loads(_run(*words))
    wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    own_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    days_s = sum(day["cpu_s"] for day in printed["days"])
    return {
        "wall_s": round(wall_s, 1),
        # Workers of Ray are children of nobody here.
        "cpu_s": round(own_s if "--in-process" in words else own_s + days_s, 1),
        "cpu_of_days_s": round(days_s, 1),
        "load_1min_at_start": round(load, 2),
        "rows_written": sum(sum(day["rows"].values()) for day in printed["days"]),
        "month_extrapolated_min": round(wall_s * months_worth / 60, 1),
    }


def _run(*words: str) -> str:
    return subprocess.run([*CLI, *words], stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=48)
    parser.add_argument(
        "--store", type=Path, help="Folder of `simulate events` with these hours, instead of a new one."
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "recount.json")
    arguments = parser.parse_args()
    measured_on = describe()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(arguments.hours, arguments.store or Path(folder) / "store") | {"measured_on": measured_on}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "measured_on"}, indent=1))


if __name__ == "__main__":
    main()
