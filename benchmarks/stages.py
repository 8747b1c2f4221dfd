"""CPU seconds per analysed frame of each stage, measured alone: what the limit of a machine follows from.

python -m benchmarks.stages --site site.yaml   ->  JSON on stdout
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.config_file import load_site
from retail_ray.core.types import Detections, Image, Masks
from retail_ray.runtime.attempt import Attempt
from retail_ray.runtime.build_camera import CameraInput
from retail_ray.runtime.build_models import DetectorPool, build_embedder, limit_threads
from retail_ray.runtime.clients import Deferred, Pending
from retail_ray.runtime.crew import LocalCrew
from retail_ray.runtime.local_job import recorded_plan
from retail_ray.runtime.options import JobOptions


class Replay:
    """Answers recorded in a first pass, so that the second pass measures everything but the models."""

    segmenter_side_px = None

    def __init__(self, pool: DetectorPool, embedder: Any) -> None:
        self._pool, self._embedder = pool, embedder
        self.images: list[NDArray[np.uint8]] = []
        self.patches: list[NDArray[np.uint8]] = []
        self._detections: list[list[Detections]] = []
        self._embeddings: list[NDArray[np.float32]] = []
        self.replaying = False
        self._next = {"detect": 0, "embed": 0}

    @property
    def patch_hw(self) -> tuple[int, int]:
        patch: tuple[int, int] = self._embedder.patch_hw
        return patch

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        return self._pool.input_hw(native_hw)

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]:
        if not self.replaying:
            self.images.append(images)
            self._detections.append(self._pool.detect(images))
        return self._recorded("detect", self._detections)

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        if not self.replaying:
            self.patches.append(patches)
            self._embeddings.append(self._embedder.embed(patches))
        return self._recorded("embed", self._embeddings)

    def segment(
        self,
        image: Image,  # noqa: ARG002
        xyxy_px: NDArray[np.float32],  # noqa: ARG002
        native_hw: tuple[int, int],  # noqa: ARG002
    ) -> Pending[Masks]:
        raise AssertionError("no camera of the benchmark segments")

    def replay(self) -> None:
        self.replaying, self._next = True, {"detect": 0, "embed": 0}

    def _recorded(self, what: str, answers: list[Any]) -> Deferred[Any]:
        index = self._next[what]
        self._next[what] += 1
        return Deferred(lambda: answers[index])


def cpu_seconds_per_frame(site_path: Path, lake: Path) -> dict[str, float]:
    """Stage -> CPU seconds per frame of this process."""
    limit_threads(1)
    site = load_site(site_path).model_copy(update={"lake": str(lake)})
    embedder_settings = site.models.embedder
    assert embedder_settings is not None
    pool, embedder = DetectorPool(site.models.detector), build_embedder(embedder_settings)
    plan = recorded_plan(site)
    replay = Replay(pool, embedder)

    def whole_run() -> None:
        shutil.rmtree(plan.lake, ignore_errors=True)
        crew = LocalCrew(plan, replay)
        try:
            Attempt(plan, crew, JobOptions(), threading.Event()).run()
        finally:
            crew.end()

    whole_run()
    frames = sum(len(images) for images in replay.images)
    replay.replay()
    without_models = cpu_of(whole_run)
    stages = {
        "decode and letterbox": cpu_of(lambda: decode(CameraInput(plan, site.cameras[0].id), pool)),
        "detect": cpu_of(lambda: [pool.detect(images) for images in replay.images]),
        "embed": cpu_of(lambda: [embedder.embed(patches) for patches in replay.patches]),
    }
    stages["track, rows, gallery, operators, Parquet"] = without_models - stages["decode and letterbox"]
    return {name: seconds / frames for name, seconds in stages.items()}


def decode(camera_input: Any, pool: DetectorPool) -> None:
    from retail_ray.core.boxes import Letterbox

    source = camera_input.source
    letterbox = Letterbox(source.native_hw, pool.input_hw(source.native_hw))
    for frame in source.frames():
        frame.letterboxed(letterbox)


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--site", type=Path, required=True)
    with tempfile.TemporaryDirectory() as folder:
        told = cpu_seconds_per_frame(parser.parse_args().site, Path(folder) / "lake")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
