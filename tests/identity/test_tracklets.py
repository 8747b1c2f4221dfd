from __future__ import annotations

import numpy as np
import pytest

from retail_ray.core.event_time import CameraView, WatermarkBuffer
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import Tracklet, sightings
from tests.support.scenes import S, Sighting, message, unit

SETTINGS = GallerySettings(prototypes=3)


def vector(*numbers: float) -> np.ndarray:
    return np.array(unit(numbers), np.float32)


def test_good_crops_weigh_more_in_the_mean() -> None:
    tracklet = Tracklet(0, 1, 0, 0, 0)
    tracklet.describe(vector(1, 0), 0.9, SETTINGS)
    for _ in range(3):
        tracklet.describe(vector(0, 1), 0.1, SETTINGS)
    assert tracklet.mean() == pytest.approx(vector(3, 1), abs=1e-6)


def test_prototypes_are_few_and_unlike_each_other() -> None:
    tracklet = Tracklet(0, 1, 0, 0, 0)
    kept = [
        tracklet.describe(look, 1.0, SETTINGS) is not None
        for look in (vector(1, 0, 0), vector(1, 0.1, 0), vector(0, 1, 0), vector(1, 1, 0), vector(0, 0, 1))
    ]
    assert kept == [True, False, True, True, False]  # alike; the last one finds no room


def test_embeddings_that_cancel_out_are_no_mean() -> None:
    tracklet = Tracklet(0, 1, 0, 0, 0)
    assert tracklet.mean() is None
    for look in (vector(1, 0), vector(-1, 0)):
        tracklet.describe(look, 0.0, SETTINGS)
    assert tracklet.mean() is None


def test_places_are_weighted_with_their_certainty() -> None:
    """The second frame is four times as certain; the third has no floor point at all."""
    rows = [Sighting(0, 7, 0.0, 0.0), Sighting(100_000, 7, 5.0, 0.0), Sighting(200_000, 7, float("nan"), 0.0)]
    sent = message("a", rows, S)
    sent.floor_cov_m2[0] *= 4
    buffer = WatermarkBuffer([CameraView("a", True)], S)
    for foot in sent.foot_px[2:]:
        foot[:] = 0
    buffer.submit(sent)
    ((camera, local_id, first_us, last_us, place),) = [one for tick in buffer.ticks(S) for one in sightings(tick)]
    assert (camera, local_id, first_us, last_us) == (0, 7, 0, 200_000)
    assert place[:3] == pytest.approx((80_000, 4.0, 0.0))
