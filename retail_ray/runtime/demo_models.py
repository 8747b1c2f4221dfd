"""Makes the demo's weights again: training data rendered from seeds, then detector, embedder and segmenter.

Every stage leaves a report beside its result and is passed over where both are there, so that an interrupted run
goes on with the stage it was in.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from retail_ray.core.errors import ConfigError
from retail_ray.runtime.build_models import limit_threads
from retail_ray.simulation.seeds import DEVELOPMENT, TRAINING, SeedRange
from retail_ray.simulation.training_data import DataSettings, render_training_data
from retail_ray.vision import detector as yolo
from retail_ray.vision import embedder as reid
from retail_ray.vision import segmenter as sam
from retail_ray.vision.networks import file_sha256
from retail_ray.vision.training.compute import CPU, Compute, compute_on
from retail_ray.vision.training.data import read_patches, read_pictures
from retail_ray.vision.training.detector import DetectorTraining, train_detector
from retail_ray.vision.training.detector_scores import Asked, score_detector
from retail_ray.vision.training.embedder import EmbedderTraining, train_embedder
from retail_ray.vision.training.embedder_scores import score_embedder
from retail_ray.vision.training.loop import Phase, Progress, TrainingReport
from retail_ray.vision.training.segmenter import SegmenterTraining, train_segmenter
from retail_ray.vision.training.segmenter_scores import score_segmenter

DETECTOR, EMBEDDER, SEGMENTER = "demo_detector.pt", "demo_embedder.pt", "demo_segmenter.pth"
SEEDS_PER_RUN = 1000
TOLD_EVERY_STEPS = 25
PACKAGES = ("torch", "ultralytics", "boxmot", "segment-anything", "numpy", "opencv-python")
Notice = Callable[[str], None]
Size = Literal["full", "smoke"]


@dataclass(frozen=True, slots=True)
class DemoRecipe:
    """Everything that the weights depend on besides the seed. scored_hw: the detector's input when it is scored."""

    training: DataSettings = field(default_factory=DataSettings)
    development: DataSettings = field(default_factory=lambda: DataSettings(scenes=6, moments=10))
    detector: DetectorTraining = field(default_factory=DetectorTraining)
    embedder: EmbedderTraining = field(default_factory=EmbedderTraining)
    segmenter: SegmenterTraining = field(default_factory=SegmenterTraining)
    scored_hw: tuple[int, int] = (256, 448)


_SMALL = DataSettings(scenes=2, moments=4, width_px=320, height_px=180, stored_width_px=320, patch_min_height_px=28.0)
RECIPES: dict[Size, DemoRecipe] = {
    "full": DemoRecipe(),
    "smoke": DemoRecipe(
        training=_SMALL,
        development=DataSettings(**(asdict(_SMALL) | {"scenes": 1})),
        detector=DetectorTraining(phases=(Phase(12, 4, (192, 320), (0.8, 1.2)),)),
        embedder=EmbedderTraining(phases=(Phase(8, 16, (128, 64)),)),
        segmenter=SegmenterTraining(phases=(Phase(6, 1, (180, 320), (1.0, 1.2)),)),
    ),
}


def train_demo_models(
    out: Path, size: Size, seed: int, notice: Notice, threads: int = 0, *, device: str = "cpu"
) -> dict[str, Any]:
    """Write the three weights and `demo_models.json` into `out`, and return what the latter holds.

    threads: of PyTorch; 0: all cores. device: `cpu`, `cuda`, `cuda:N`, or `auto` for CUDA where there is one; pictures
    are rendered on the CPU in any case. Raises ConfigError where `out` holds stages of another recipe or seed, and for
    a device that is not there.
    """
    if not 0 <= seed < (TRAINING.end - TRAINING.first) // SEEDS_PER_RUN:
        raise ConfigError(
            f"seed is {seed}; it must be from 0 to {(TRAINING.end - TRAINING.first) // SEEDS_PER_RUN - 1}"
        )
    compute = compute_on(device)
    own = threads or len(os.sched_getaffinity(0))
    run = _Run(out, RECIPES[size], seed, notice, threads=own, compute=compute)
    stages = {
        "training data": run.stage("training", lambda: run.render("training", TRAINING)),
        "development data": run.stage("development", lambda: run.render("development", DEVELOPMENT)),
        "detector": run.stage("detector", run.detector),
        "embedder": run.stage("embedder", run.embedder),
        "segmenter": run.stage("segmenter", run.segmenter),
    }
    result = {
        "size": size,
        "seed": seed,
        "recipe": run.recipe_json,
        "machine": machine(run.threads, compute),
        "stages": stages,
    }
    (out / "demo_models.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def machine(threads: int, compute: Compute = CPU) -> dict[str, Any]:
    """What speed and exact bits depend on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "trained_on": compute.described(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


class _Run:
    def __init__(
        self, out: Path, recipe: DemoRecipe, seed: int, notice: Notice, *, threads: int, compute: Compute
    ) -> None:
        self._out, self._recipe, self._seed, self._notice = out, recipe, seed, notice
        self.threads, self._compute = threads, compute
        self.recipe_json: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
        (out / "stages").mkdir(parents=True, exist_ok=True)
        limit_threads(threads)

    def stage(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The report of the stage, from its file where it is done already."""
        path, digest = self._out / "stages" / f"{name}.json", self._digest(name)
        if path.exists():
            report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if report.pop("digest") != digest:
                raise ConfigError(f"{path} is of another recipe or seed; give another --out, or delete {self._out}")
            self._notice(f"{name}: already done")
            return report
        torch.set_num_threads(self.threads)
        started = time.monotonic()
        report = work()
        report["seconds"] = round(time.monotonic() - started, 1)
        path.write_text(json.dumps(report | {"digest": digest}, indent=1), encoding="utf-8")
        return report

    def _digest(self, name: str) -> str:
        """Over the seed and what the stage rests on."""
        rests_on = {name} if name in {"training", "development"} else {name, "training", "development", "scored_hw"}
        content = [self._seed, {key: self.recipe_json[key] for key in sorted(rests_on)}]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def render(self, what: Literal["training", "development"], seeds: SeedRange) -> dict[str, Any]:
        settings: DataSettings = getattr(self._recipe, what)
        own = SeedRange(seeds.purpose, seeds.seed(self._seed * SEEDS_PER_RUN), seeds.end)
        done = render_training_data(
            self._out / what,
            settings,
            own,
            lambda done: self._notice(
                f"{what} data: store {done.scene} of {done.scenes}, {done.pictures} pictures, {done.patches} patches"
            ),
        )
        return {"first_seed": own.first, "scenes": settings.scenes, "counts": done["counts"]}

    def detector(self) -> dict[str, Any]:
        data, file = self._out / "training", self._out / DETECTOR
        told = self._teller("detector")
        report = train_detector(data, file, self._recipe.detector, self._seed, told, compute=self._compute)
        return self._with(report, detector_scores(file, self._out / "development", self._recipe.scored_hw))

    def embedder(self) -> dict[str, Any]:
        data, file = self._out / "training", self._out / EMBEDDER
        told = self._teller("embedder")
        report = train_embedder(data, file, self._recipe.embedder, self._seed, told, compute=self._compute)
        return self._with(report, embedder_scores(file, self._out / "development"))

    def segmenter(self) -> dict[str, Any]:
        data, file = self._out / "training", self._out / SEGMENTER
        told = self._teller("segmenter")
        report = train_segmenter(data, file, self._recipe.segmenter, self._seed, told, compute=self._compute)
        return self._with(report, segmenter_scores(file, self._out / "development"))

    def _teller(self, name: str) -> Callable[[Progress], None]:
        def tell(progress: Progress) -> None:
            if progress.step % TOLD_EVERY_STEPS == 0 or progress.step == progress.steps:
                self._notice(f"{name}: step {progress.step} of {progress.steps}, loss {progress.loss:.3f}")

        return tell

    def _with(self, report: TrainingReport, scores: dict[str, float]) -> dict[str, Any]:
        content = asdict(report) | {"out_file": report.out_file.name}
        content["scores"] = {name: round(value, 4) for name, value in scores.items()}
        size, digest = report.out_file.stat().st_size, file_sha256(report.out_file)
        self._notice(f"{report.out_file.name}: {size} bytes, sha256 {digest}, {content['scores']}")
        return content | {"size_bytes": size, "sha256": digest}


def detector_scores(weights: Path, data: Path, input_hw: tuple[int, int]) -> dict[str, float]:
    """Through the product's detector, PyTorch on the CPU."""
    settings = yolo.DetectorSettings(
        weights, backend="torch", precision="f32", input_hw=input_hw, confidence=0.01, threads=torch.get_num_threads()
    )
    return score_detector(yolo.load_detector(settings, data), read_pictures(data), Asked())


def embedder_scores(weights: Path, data: Path) -> dict[str, float]:
    settings = reid.EmbedderSettings(weights, backend="torch", threads=torch.get_num_threads())
    return score_embedder(reid.load_embedder(settings, data), read_patches(data))


def segmenter_scores(weights: Path, data: Path) -> dict[str, float]:
    segmenter = sam.load_segmenter(sam.SegmenterSettings(weights, threads=torch.get_num_threads()))
    return score_segmenter(segmenter, read_pictures(data), 0, min_visible_share=0.5, min_height_px=40.0)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
