"""Likeness to enrolled uniforms as log-odds of being staff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UniformSettings:
    """How cosine similarity to the nearest enrolled picture becomes log-odds: slope * (similarity - even_similarity),
    held between unlike_log_odds and alike_log_odds.

    unlike_log_odds is a floor near zero: a uniform under a coat, or seen from behind, is no proof of a visitor.
    """

    even_similarity: float = 0.65
    slope: float = 25.0
    unlike_log_odds: float = -1.0
    alike_log_odds: float = 4.0

    def __post_init__(self) -> None:
        if self.slope < 0 or self.unlike_log_odds > self.alike_log_odds:
            raise DataError("UniformSettings: more likeness may not speak less for staff; slope is 0 or more")


def uniform_log_odds(
    embeddings: NDArray[np.float32],
    identity: NDArray[np.int64],
    identities: int,
    uniforms: NDArray[np.float32],
    settings: UniformSettings | None = None,
) -> Floats:
    """(identities,) float64 log-odds from the median likeness of each identity's crops or prototypes.

    embeddings: (M, D) L2-normalised, identity: (M,) whose each is, uniforms: (U, D) L2-normalised. 0 for identities
    without an embedding, and for all where no uniform is enrolled. DataError where the dimensions differ.
    """
    settings = settings or UniformSettings()
    known = np.zeros(identities)
    if not len(uniforms) or not len(embeddings):
        return known
    if embeddings.shape[1] != uniforms.shape[1]:
        raise DataError(
            f"uniforms have {uniforms.shape[1]} dimensions and people {embeddings.shape[1]}: "
            "embed both with the same network"
        )
    likeness = (embeddings.astype(np.float64) @ uniforms.astype(np.float64).T).max(axis=1)
    for number in np.unique(identity):
        similarity = float(np.median(likeness[identity == number]))
        log_odds = settings.slope * (similarity - settings.even_similarity)
        known[number] = min(max(log_odds, settings.unlike_log_odds), settings.alike_log_odds)
    return known
