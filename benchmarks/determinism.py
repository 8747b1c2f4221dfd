"""The shipped demo store, run again and again with Ray on one core and on all: are the identities the same bytes?

python -m benchmarks.determinism [--runs 10] [--seconds 20]   writes benchmarks/results/determinism.json

Each run is the command line of a user under `taskset`, into a lake of its own, over the first seconds of each clip.
Compared are the bytes of the identity_events files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from benchmarks.environment import RESULTS, ROOT, describe

STORE = ROOT / "jobs" / "demo_store"
TIMEOUT_S = 900


def shortened(folder: Path, seconds: float) -> Path:
    """A copy of the demo's site.yaml beside the first seconds of its clips, not encoded anew; gives the site file."""
    (folder / "clips").mkdir(parents=True)
    shutil.copy(STORE / "site.yaml", folder)
    for clip in sorted((STORE / "clips").glob("*.mp4")):
        _copy_beginning(clip, folder / "clips" / clip.name, seconds)
    return folder / "site.yaml"


def _copy_beginning(clip: Path, copy: Path, seconds: float) -> None:
    with av.open(str(clip)) as whole, av.open(str(copy), "w") as part:
        part.metadata.update(whole.metadata)  # it says that the people are simulated
        video = whole.streams.video[0]
        kept = part.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.dts is None or packet.pts is None or packet.pts * Fraction(video.time_base or 1) >= seconds:
                continue
            packet.stream = kept
            part.mux(packet)


def command(site: Path, lake: Path, cores: str) -> list[str]:
    run = [sys.executable, "-m", "retail_ray.cli", "run", "--site", str(site), "--lake", str(lake), "--json"]
    return ["taskset", "-c", cores, *run]


def identity_bytes(lake: Path) -> tuple[str, int]:
    """sha256 over the identity_events files of a lake in the order of their names, and how many files they are."""
    found = sorted((lake / "identity_events").rglob("*.parquet"))
    digest = hashlib.sha256()
    for path in found:
        digest.update(str(path.relative_to(lake)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest(), len(found)


def run(site: Path, lake: Path, cores: str) -> dict[str, Any]:
    """One run; RuntimeError with its last words when it fails."""
    began = time.perf_counter()
    words = command(site, lake, cores)
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    summary = json.loads(done.stdout)
    digest, files = identity_bytes(lake)
    row = {
        "cores": cores,
        "wall_s": round(time.perf_counter() - began, 1),
        "identities": summary["identities"],
        "tracklets": summary["tracklets"],
        "files": files,
        "sha256": digest,
    }
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="of each number of cores")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each clip")
    options = parser.parse_args()
    usable = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        site = shortened(Path(folder) / "store", options.seconds)
        rows = [
            run(site, Path(folder) / f"lake-{number}-{cores.replace(',', '-')}", cores)
            for number in range(options.runs)
            for cores in (str(usable[0]), ",".join(map(str, usable)))
        ]
    report = {
        "environment": describe(),
        "seconds": options.seconds,
        "same_bytes": len({row["sha256"] for row in rows}) == 1,
        "runs": rows,
    }
    (RESULTS / "determinism.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
