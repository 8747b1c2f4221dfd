"""Arrays and addresses that break their contract are refused with their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retail_ray.core.errors import DataError
from retail_ray.core.types import Detections, Tracks
from retail_ray.core.uris import is_network, mask_credentials, scheme
from tests.support.scenes import S, Sighting, message

GOOD = message("door-1", [Sighting(0, 1, 0, 0, (1.0, 0.0)), Sighting(100, 1, 0, 0)], S)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"time_us": np.array([5, 1])}, "not in event-time order"),
        ({"time_us": np.array([0.0, 1.0])}, "time_us: expected int64, found float64"),
        ({"floor_xy_m": np.zeros((2, 3))}, r"floor_xy_m: expected shape \(2, 2\), found \(2, 3\)"),
        ({"local_id": np.zeros(3, np.int64)}, r"local_id: expected shape \(2,\)"),
        ({"embedding": np.array([[np.nan, 1]], np.float32)}, "an embedding is not finite"),
        ({"embedding": np.zeros((2, 2), np.float32)}, r"embedding: expected shape \(1, None\)"),
        ({"foot_px": [[0, 0], [1, 1]]}, "foot_px: expected float32, found list"),
    ],
)
def test_observations(change: dict[str, object], fault: str) -> None:
    with pytest.raises(DataError, match=f"camera 'door-1'.*{fault}"):
        replace(GOOD, **change)


def test_tracks_and_detections() -> None:
    two = np.zeros((2, 4), np.float32), np.zeros(2, np.float32)
    with pytest.raises(DataError, match=r"a local id stands twice in one frame: \[3, 3\]"):
        Tracks(*two, np.array([3, 3]), np.zeros(2, np.int32))
    with pytest.raises(DataError, match="must be finite"):
        Detections(two[0], np.array([np.nan, 1], np.float32), np.zeros(2, np.int32))
    some = Detections(two[0], np.array([0.1, 0.9], np.float32), np.array([0, 1], np.int32))
    assert some[some.confidence > 0.5].class_id.tolist() == [1]
    assert len(Detections.empty()) == len(Tracks.empty()) == 0


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://user:hunter2@cam.shop/stream",
        "cannot open 'http://x/?a=1&token=hunter2': 404",
        "rtsp://user:p@hunter2@cam/1",
        "https://h/live;password=hunter2&x=1",
    ],
)
def test_secrets_in_addresses_are_masked(text: str) -> None:
    masked = mask_credentials(text)
    assert "hunter2" not in masked
    assert "***" in masked


def test_schemes() -> None:
    assert [scheme("RTSP://x"), scheme("/a/b.mp4"), scheme("C:/a.mp4")] == ["rtsp", "file", "file"]
    assert [is_network("https://x/y.m3u8"), is_network("clip.mp4")] == [True, False]
    assert mask_credentials("no address: user@mail") == "no address: user@mail"
