"""Parts of the pipeline replaced by the truth: a detector and a tracker that know everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Letterbox
from retail_ray.core.types import Detections, Image, Masks, Tracks
from retail_ray.evaluation.scene import ScoringRules
from retail_ray.lake.truth import Truth
from retail_ray.runtime.clients import Deferred, ModelClients, Pending

CONFIDENCE = 0.9
# A person who was out of sight for longer comes back as another tracklet.
SAME_TRACKLET_US = 2_000_000


class Wrapped:
    """Models as they are; subclasses change one answer."""

    def __init__(self, own: ModelClients) -> None:
        self._own = own

    @property
    def patch_hw(self) -> tuple[int, int] | None:
        return self._own.patch_hw

    @property
    def segmenter_side_px(self) -> int | None:
        return self._own.segmenter_side_px

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        return self._own.input_hw(native_hw)

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]:
        return self._own.detect(images)

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        return self._own.embed(patches)

    def segment(self, image: Image, xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Pending[Masks]:
        return self._own.segment(image, xyxy_px, native_hw)


class TrueDetector(Wrapped):
    """Finds exactly the people whom the evaluation requires; the class number of a box is the person.

    Takes the frames of one camera in order, every one of them: the clip must be analysed at its own rate.
    """

    def __init__(self, own: ModelClients, truth: Truth, camera_id: str, rules: ScoringRules | None = None) -> None:
        super().__init__(own)
        frames, table, rules = truth.tables["frames"], truth.tables["boxes"], rules or ScoringRules()
        mine = (frames["camera_id"] == camera_id) & (frames["frame_index"] >= 0)
        self._frames = np.sort(frames["frame_index"][mine])
        height_px = table["y2_px"] - table["y1_px"]
        required = (table["visible_share"] >= rules.min_visible_share) & (height_px >= rules.min_height_px)
        kept = (table["camera_id"] == camera_id) & required
        self._frame, self._person = table["frame_index"][kept], table["person_id"][kept].astype(np.int32)
        corners = [table[name][kept] for name in ("x1_px", "y1_px", "x2_px", "y2_px")]
        self._xyxy_px = np.stack(corners, axis=1).astype(np.float32)
        self._letterbox: Letterbox | None = None
        self._next = 0

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        model_hw = self._own.input_hw(native_hw)
        self._letterbox = Letterbox(native_hw, model_hw)
        return model_hw

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]:
        first, self._next = self._next, self._next + len(images)
        frames = self._frames[first : self._next]
        if len(frames) != len(images):
            raise AssertionError(f"the clip has more frames than its truth: {self._next} > {len(self._frames)}")
        return Deferred(lambda: [self._of(int(frame)) for frame in frames])

    def _of(self, frame: int) -> Detections:
        assert self._letterbox is not None
        rows = self._frame == frame
        left, top = self._letterbox.pad_px
        shift = np.array([left, top, left, top], np.float32)
        model_px = self._xyxy_px[rows] * np.float32(self._letterbox.scale) + shift
        return Detections(model_px, np.full(int(rows.sum()), CONFIDENCE, np.float32), self._person[rows])


class TrueTracker:
    """Follows the class numbers of a TrueDetector."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def update(self, detections: Detections, image: Image | None, time_us: int) -> Tracks:  # noqa: ARG002
        ids = [self._tracklet(person, time_us) for person in detections.class_id.tolist()]
        rows = np.arange(len(ids), dtype=np.int32)
        return Tracks(detections.xyxy_px, detections.confidence, np.array(ids, np.int64), rows)

    def state(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        raise AssertionError(f"a true tracker does not resume: {state!r}")

    def _tracklet(self, person: int, time_us: int) -> int:
        number, last_us = self._known.get(person, (0, time_us))
        if time_us - last_us > SAME_TRACKLET_US:
            number += 1
        self._known[person] = (number, time_us)
        return 1000 * person + number


class Recorded(Wrapped):
    """Asks the detector once per chunk of a camera; later runs over the same video get the same answers."""

    def __init__(self, own: ModelClients, answers: list[list[Detections]]) -> None:
        super().__init__(own)
        self._answers, self._next = answers, 0

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]:
        number, self._next = self._next, self._next + 1
        if number == len(self._answers):
            self._answers.append(self._own.detect(images).result())
        return Deferred(lambda: self._answers[number])


class Shuffled(Wrapped):
    """Gives each patch the embedding of any patch so far."""

    def __init__(self, own: ModelClients, rng: np.random.Generator) -> None:
        super().__init__(own)
        self._rng, self._seen = rng, np.zeros((0, 0), np.float32)

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        new = self._own.embed(patches).result()
        self._seen = np.concatenate([self._seen.reshape(-1, new.shape[1]), new])
        return Deferred(lambda: self._seen[self._rng.integers(0, len(self._seen), len(new))])


class Histograms(Wrapped):
    """Describes a patch by the colours of its six horizontal bands, instead of a network."""

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        return Deferred(lambda: colour_histograms(patches))


def colour_histograms(patches: NDArray[np.uint8], bands: int = 6, bins: int = 4) -> NDArray[np.float32]:
    """(N, bands × bins³) float32, L2-normalised square roots of the colour counts (Hellinger)."""
    made = []
    for patch in patches:
        codes = (patch // (256 // bins)).astype(np.int64) @ np.array([bins * bins, bins, 1])
        made.append([np.bincount(band.ravel(), minlength=bins**3) for band in np.array_split(codes, bands)])
    roots = np.sqrt(np.array(made, np.float32).reshape(len(patches), -1))
    return np.asarray(roots / np.linalg.norm(roots, axis=1, keepdims=True), np.float32)
