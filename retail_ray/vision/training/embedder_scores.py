"""How well an embedder finds the same person in another camera, measured through the product's own embedder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.ports import Embedder
from retail_ray.vision.training.data import Patches, read_image
from retail_ray.vision.training.embedder import cut_patch

PATCHES_AT_ONCE = 64


def score_embedder(embedder: Embedder, patches: Patches) -> dict[str, float]:
    """rank1 and map of every patch against the patches of all other cameras."""
    return rank(embed_patches(embedder, patches), patches.identity, patches.camera)


def embed_patches(embedder: Embedder, patches: Patches) -> NDArray[np.float32]:
    """(N, D) float32 of the patches' boxes."""
    parts = []
    for start in range(0, len(patches), PATCHES_AT_ONCE):
        paths = patches.paths[start : start + PATCHES_AT_ONCE]
        images = [cut_patch(read_image(path), embedder.patch_hw, 0.0, None) for path in paths]
        parts.append(embedder.embed(np.stack(images)))
    return np.concatenate(parts)


def rank(embeddings: NDArray[np.float32], identity: NDArray[np.int64], camera: NDArray[np.int64]) -> dict[str, float]:
    """Each patch looks for its person in other cameras; its own camera's patches of that person are left out.

    Patches whose person no other camera has are no queries.
    """
    similarity = embeddings @ embeddings.T
    first, precisions = [], []
    for row in range(len(embeddings)):
        gallery = np.flatnonzero((camera != camera[row]) | (identity != identity[row]))
        hits = identity[gallery] == identity[row]
        if not hits.any():
            continue
        ordered = hits[np.argsort(-similarity[row, gallery], kind="stable")]
        first.append(ordered[0])
        places = np.flatnonzero(ordered)
        precisions.append(((np.arange(len(places)) + 1) / (places + 1)).mean())
    return {
        "rank1": float(np.mean(first)) if first else 0.0,
        "map": float(np.mean(precisions)) if precisions else 0.0,
        "queries": float(len(first)),
        "people": float(len(np.unique(identity))),
    }
