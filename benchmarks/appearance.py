"""How well appearance alone tells people apart: the embedder against a colour histogram on true crops of the clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.lake.truth import Truth
from retail_ray.vision.crops import cut_patches

MIN_HEIGHT_PX = 80
MIN_VISIBLE_SHARE = 0.7
CROPS_PER_TRACK = 6


@dataclass(frozen=True)
class Crops:
    """patches: (N, h, w, 3) uint8; person, camera: (N,) int64."""

    patches: NDArray[np.uint8]
    person: NDArray[np.int64]
    camera: NDArray[np.int64]


def true_crops(folder: Path, truth: Truth, patch_hw: tuple[int, int]) -> Crops:
    """Crops of clearly visible people, evenly over their time in each camera."""
    table = truth.tables["boxes"]
    tall = table["y2_px"] - table["y1_px"] >= MIN_HEIGHT_PX
    clear = np.flatnonzero(tall & (table["visible_share"] >= MIN_VISIBLE_SHARE))
    names = sorted(set(table["camera_id"].tolist()))
    camera = np.array([names.index(name) for name in table["camera_id"].tolist()], np.int64)
    chosen = np.concatenate([np.zeros(0, np.int64), *_evenly(clear, camera, table["person_id"])])
    patches = np.zeros((len(chosen), *patch_hw, 3), np.uint8)
    for number, name in enumerate(names):
        mine = np.flatnonzero(camera[chosen] == number)
        wanted = table["frame_index"][chosen[mine]]
        for index, image in _frames(folder / "clips" / f"{name}.mp4", set(wanted.tolist())):
            at = mine[wanted == index]
            corners = [table[edge][chosen[at]] for edge in ("x1_px", "y1_px", "x2_px", "y2_px")]
            patches[at] = cut_patches(image, np.stack(corners, axis=1).astype(np.float32), patch_hw)
    return Crops(patches, table["person_id"][chosen].astype(np.int64), camera[chosen])


def separation(vectors: NDArray[np.float32], crops: Crops) -> dict[str, float]:
    """Across cameras: area under the ROC of same against different person, and rank-1 of each crop."""
    similarity = vectors @ vectors.T
    other = crops.camera[:, None] != crops.camera[None]
    same = (crops.person[:, None] == crops.person[None]) & other
    different = ~(crops.person[:, None] == crops.person[None]) & other
    if not same.any() or not different.any():
        return {}
    return {
        "auc": auc(similarity[same], similarity[different]),
        "rank_1": _rank_1(similarity, same, other),
        "crops": len(vectors),
        "people": len(np.unique(crops.person)),
    }


def auc(positives: NDArray[np.floating[Any]], negatives: NDArray[np.floating[Any]]) -> float:
    """Chance that a random positive is above a random negative, ties half."""
    ordered = np.sort(negatives)
    below, up_to = np.searchsorted(ordered, positives, "left"), np.searchsorted(ordered, positives, "right")
    return float((below + up_to).mean() / 2 / len(ordered))


def _rank_1(similarity: NDArray[np.float32], same: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    asked = np.flatnonzero(same.any(axis=1))
    nearest = np.where(other, similarity, -2)[asked].argmax(axis=1)
    return float(same[asked, nearest].mean())


def _evenly(
    rows: NDArray[np.int64], camera: NDArray[np.int64], person: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    for key in np.unique(np.stack([camera[rows], person[rows]], axis=1), axis=0):
        track = rows[(camera[rows] == key[0]) & (person[rows] == key[1])]
        yield track[np.unique(np.linspace(0, len(track) - 1, CROPS_PER_TRACK).round().astype(np.int64))]


def _frames(clip: Path, wanted: set[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    import av

    with av.open(str(clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                yield index, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
