"""`evaluate`: every measure of one lake against its truth, with what they rest on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from retail_ray.core.errors import DataError, LakeError
from retail_ray.evaluation.detection import detector
from retail_ray.evaluation.doors import doors
from retail_ray.evaluation.dwell import dwell
from retail_ray.evaluation.groups import groups
from retail_ray.evaluation.links import links
from retail_ray.evaluation.measures import Measure, Section, as_json, not_measured, share
from retail_ray.evaluation.queues import queues
from retail_ray.evaluation.scene import Scene, ScoringRules, build_scene
from retail_ray.evaluation.staff import staff
from retail_ray.evaluation.tracks import across_cameras, on_floor, per_camera
from retail_ray.evaluation.visitors import occupancy, unique_visitors
from retail_ray.lake.identity_views import IdentityVersion
from retail_ray.lake.scored_rows import read_scored_rows
from retail_ray.lake.truth import TruthOf, read_truth

FORMAT: Final = "retail_ray evaluation 1"
SEED: Final = 20_261_121


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All measures of one lake, by section; see docs/evaluation.md."""

    lake: str
    run_ids: tuple[str, ...]
    truth: TruthOf
    rules: ScoringRules
    sections: dict[str, Section]
    identities: IdentityVersion = "revised"

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "lake": self.lake,
            "runs": list(self.run_ids),
            "identities": self.identities,
            "truth": asdict(self.truth),
            "rules": asdict(self.rules),
        } | as_json(self.sections)


def evaluate(
    lake: Path,
    truth: Path,
    run_id: str | None = None,
    rules: ScoringRules | None = None,
    identities: IdentityVersion = "revised",
) -> Evaluation:
    """Score a lake. LakeError or DataError, naming lake and truth, where they do not belong together or are damaged.

    identities: as they were emitted, as revised, or as of a decision.
    """
    scene = load_scene(lake, truth, run_id, rules, identities)
    sections = measure(scene, np.random.default_rng(SEED))
    return Evaluation(str(lake), scene.rows.run_ids, scene.truth.of, scene.rules, sections, identities)


def load_scene(
    lake: Path,
    truth: Path,
    run_id: str | None = None,
    rules: ScoringRules | None = None,
    identities: IdentityVersion = "revised",
) -> Scene:
    """A lake and its truth, brought together; errors as `evaluate`."""
    known = read_truth(truth)
    try:
        rows = read_scored_rows(
            lake, known.of.site_id, known.of.start_us, known.of.end_us, run_id, identities=identities
        )
        return build_scene(known, rows, rules)
    except (LakeError, DataError) as error:
        raise type(error)(f"{error} (truth: {truth}, site '{known.of.site_id}')") from error


def measure(scene: Scene, rng: np.random.Generator) -> dict[str, Section]:
    """Every section; `rng` draws the bootstrap samples."""
    return {
        "coverage": coverage(scene),
        "detector": detector(scene),
        "cameras": per_camera(scene, rng),
        "across_cameras": across_cameras(scene),
        "floor": on_floor(scene),
        "links": links(scene),
        "doors": doors(scene),
        "visitors": unique_visitors(scene),
        "occupancy": occupancy(scene),
        "dwell": dwell(scene, rng),
        "queues": queues(scene, rng),
        "staff": staff(scene, rng),
        "groups": groups(scene),
    }


def coverage(scene: Scene) -> Section:
    """Share of the expected frames that were analysed, and which cameras were."""
    table = scene.rows.tables.get("coverage")
    cameras = Measure(float(len(scene.analysed)), len(scene.cameras), "cameras of the truth")
    if table is None:
        return {"frames": not_measured("the lake has no coverage"), "cameras": cameras}
    expected = table["expected_frames"].sum() + _unrecorded(scene)
    processed = min(int(table["processed_frames"].sum()), int(expected))
    of_cameras = {
        camera: _camera_share(scene, camera) for camera in sorted(set(scene.cameras) | set(table["camera_id"].tolist()))
    }
    return {"frames": share(processed, int(expected), "expected frames"), "cameras": cameras, **of_cameras}


def _camera_share(scene: Scene, camera: str) -> Measure:
    table = scene.rows.tables["coverage"]
    mine = table["camera_id"] == camera
    if not mine.any():
        return Measure(0.0, 0, "expected frames")
    processed, expected = (int(table[name][mine].sum()) for name in ("processed_frames", "expected_frames"))
    return share(min(processed, expected), expected, "expected frames")


def _unrecorded(scene: Scene) -> int:
    """Frames of cameras that the truth knows and the lake does not, at the rate of the others."""
    table = scene.rows.tables["coverage"]
    recorded = set(table["camera_id"].tolist())
    missing = len(set(scene.cameras) - recorded)
    return round(missing * float(table["expected_frames"].sum()) / max(1, len(recorded)))
