"""Tables of the demo: the time it takes, from demo.json, and its shipped clips."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT
from benchmarks.markdown import table

CLIPS = ROOT / "jobs" / "demo_store" / "clips"
COMMAND = "retail-ray simulate video --recipe jobs/demo_store/recipe.yaml --out out/demo-store"


def demo_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    machine = report["measured_on"]
    rows = [[name, f"{seconds:.1f}"] for name, seconds in report["parts_s"].items()]
    rows.append(["**until page and API answer**", f"{report['total_s']:.1f}"])
    reached = "with" if report["network_within_reach"] else "without any"
    return {
        "demo, seconds": f"{machine['cores_usable']} cores ({machine['cpu']}), load {machine['load_1min']:g} when it "
        f"began, {reached} network:\n\n" + table(["part", "seconds"], rows)
    }


def shipped_clips() -> str:
    """Every clip with its content's name and the command that draws it again."""
    rows = (
        [f"`{clip.name}`", f"{clip.stat().st_size:,}", f"`{_sha256(clip)}`", f"`{COMMAND}`, then `clips/{clip.name}`"]
        for clip in sorted(CLIPS.iterdir())
    )
    return table(["clip", "bytes", "sha256", "drawn again by"], rows)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
