"""What two sightings say about being one person, as log-likelihood ratios (natural log, "nats").

Above zero speaks for one person, below for two. Pure functions over arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retail_ray.identity.settings import GallerySettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Farther than ten deviations apart, two places share no density that a float64 can hold beside the outliers.
_FAR_VARIANCES = 100.0


def same_place(places: Floats, others: Floats, settings: GallerySettings) -> Floats:
    """(T, U) evidence of one tick, from places (T, 5) and (U, 5) as x_m, y_m, xx, xy, yy (covariance in m²).

    One person's places differ by a Gaussian of both covariances, except in a share of `outlier_share`, where a foot
    was elsewhere than it seemed; two people near each other are so by chance within `neighbourhood_m2`.
    """
    x, y = (places[:, None, axis] - others[None, :, axis] for axis in (0, 1))
    least = settings.place_sigma_m**2
    spread = (places[:, 2] + places[:, 4])[:, None] + (others[:, 2] + others[:, 4])[None] + 2 * least
    i, j = np.nonzero(x * x + y * y <= _FAR_VARIANCES * spread)
    x, y = x[i, j], y[i, j]
    xx, xy, yy = (places[i, k] + others[j, k] + more for k, more in ((2, least), (3, 0.0), (4, least)))
    determinant = np.maximum(xx * yy - xy * xy, 1e-9)
    mahalanobis = (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant
    density = np.exp(-0.5 * mahalanobis) / (2 * np.pi * np.sqrt(determinant))
    share = settings.outlier_share
    evidence = np.full((len(places), len(others)), np.log(share) if share > 0 else -np.inf)
    evidence[i, j] = np.log((1 - share) * density * settings.neighbourhood_m2 + share)
    return evidence


def in_turn(
    gap_s: Floats, distance_m: Floats, variance_m2: Floats, area_m2: float, settings: GallerySettings
) -> Floats:
    """Evidence of a way of `distance_m` in `gap_s` between two sightings, arrays of one shape.

    One person wanders from where they were; somebody else turns up anywhere in `area_m2`.
    """
    variance = variance_m2 + settings.place_sigma_m**2 + np.square(settings.wander_m_s * gap_s)
    density = np.exp(-0.5 * distance_m**2 / variance) / (2 * np.pi * variance)
    share = settings.outlier_share
    ratio = np.log((1 - share) * density * area_m2 + share)
    # Who has wandered through the whole store may be anywhere: nothing speaks against them.
    lost = 2 * np.pi * variance > area_m2
    return np.asarray(
        np.clip(np.where(lost, np.maximum(ratio, 0.0), ratio), -settings.transit_limit, settings.transit_limit)
    )


def too_fast(gap_s: Floats, distance_m: Floats, variance_m2: Floats, settings: GallerySettings) -> Flags:
    """Nobody goes so far in that time, whatever the error of both places."""
    slack_m = settings.reach_slack_m + 2.0 * np.sqrt(variance_m2)
    return np.asarray(distance_m > settings.max_speed_m_s * gap_s + slack_m)


def gaussian_ratio(values: Floats, same: tuple[float, float], different: tuple[float, float], limit: float) -> Floats:
    """Evidence of values that are Gaussian in both cases, (mean, deviation) each; never falls as values rise."""
    pooled = 0.5 * (same[1] ** 2 + different[1] ** 2)
    slope = max(same[0] - different[0], 0.0) / pooled
    return np.asarray(np.clip(slope * (values - 0.5 * (same[0] + different[0])), -limit, limit), np.float64)


def probability(nats: float) -> float:
    """Of being one person, when both were equally likely before."""
    return float(1.0 / (1.0 + np.exp(-np.clip(nats, -30.0, 30.0))))


def tempered(share: Floats, worth: float) -> Floats:
    """Probabilities whose log odds count by `worth` only: what alike pieces of evidence say together is too sure."""
    sure, unsure = np.power(share, worth), np.power(1.0 - share, worth)
    return np.asarray(sure / (sure + unsure))


def needed_nats(budget: float) -> float:
    """Evidence that a link needs so that at most this share of links is wrong."""
    share = min(max(budget, 1e-6), 0.5)
    return float(np.log((1 - share) / share))
