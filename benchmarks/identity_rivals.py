"""Other ways to tell who is who from the same tracklets, as the usual scaffolds do it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from benchmarks.identity_streams import Stream
from retail_ray.core.identity_map import TrackletKey

GREEDY_SIMILARITY = 0.75
CLUSTER_DISTANCE = 0.25
"""Both chosen on development stores for the best IDF1 on the floor."""


def greedy_gallery(stream: Stream, similarity: float = GREEDY_SIMILARITY) -> dict[TrackletKey, int]:
    """Each tracklet, in order of its first embedding, gets the identity of the nearest embedding so far, if near."""
    gallery: list[NDArray[np.float32]] = []
    owner: list[int] = []
    identity: dict[TrackletKey, int] = {}
    for key, vector in _embeddings(stream):
        if key not in identity:
            cosines = np.stack(gallery) @ vector if gallery else np.zeros(0)
            near = len(cosines) and float(cosines.max()) >= similarity
            identity[key] = owner[int(cosines.argmax())] if near else len(set(owner))
        gallery.append(vector)
        owner.append(identity[key])
    return identity


def agglomerative(stream: Stream, distance: float = CLUSTER_DISTANCE) -> dict[TrackletKey, int]:
    """Average linkage over the cosine distance of mean embeddings, after the fact."""
    sums: dict[TrackletKey, NDArray[np.float64]] = {}
    for key, vector in _embeddings(stream):
        sums[key] = sums.get(key, np.zeros(len(vector))) + vector
    if len(sums) < 2:
        return dict.fromkeys(sums, 0)
    means = np.stack([total / np.linalg.norm(total) for total in sums.values()])
    labels = fcluster(linkage(means, "average", metric="cosine"), distance, "distance")
    return dict(zip(sums, labels.tolist(), strict=True))


def _embeddings(stream: Stream) -> Iterator[tuple[TrackletKey, NDArray[np.float32]]]:
    """In event time, cameras in the order of their names."""
    found = [
        (int(message.time_us[row]), message.camera_id, int(message.local_id[row]), vector)
        for message in stream.messages
        for row, vector in zip(message.embedding_row.tolist(), message.embedding, strict=True)
    ]
    for _, camera_id, local_id, vector in sorted(found, key=lambda one: one[:3]):
        yield (camera_id, local_id), vector
