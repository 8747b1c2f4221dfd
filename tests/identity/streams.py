"""What several cameras say of people who walk on one floor: noise, gaps, broken tracks, embeddings; and the truth.

The floor is cut into rectangles, one for each camera, each enlarged so that neighbours overlap. People walk between
random places at 0.6 to 1.4 m/s, enter and leave within the time. A track breaks where its person leaves the view and
at random; each piece is a tracklet of its own. About once a second a tracklet has an embedding.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.event_time import CameraView, pack_state
from retail_ray.core.records import IdentityEvent
from retail_ray.core.types import Observations
from tests.support.embeddings import Looks

S = 1_000_000
_PX_PER_M = 80.0
_OVERLAP_M = 2.0
_NOISE_M = 0.12
_LOST_A_SECOND = 0.04
_LOST_S = (0.3, 2.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Store:
    """whole: one message a camera with all it saw. truth: (camera, local id) -> person."""

    views: list[CameraView]
    whole: dict[str, Observations]
    truth: dict[tuple[str, int], int]
    end_us: int


def store(
    seed: int,
    people: int = 8,
    cameras: int = 3,
    seconds: float = 30.0,
    fps: float = 5.0,
    dimension: int = 64,
    whole_time: bool = False,
) -> Store:
    """A store with about 9 m² for each person; `whole_time`: nobody enters or leaves."""
    rng = np.random.default_rng(seed)
    side_m = max(3.0 * np.sqrt(people), 6.0)
    times_us = (np.arange(round(seconds * fps)) * S / fps).astype(np.int64)
    places, present = _walks(rng, people, times_us / S, side_m, whole_time)
    looks = Looks.draw(people, rng, dimension)
    names = [f"camera-{number:02d}" for number in range(cameras)]
    whole: dict[str, Any] = {}
    truth: dict[Any, Any] = {}
    for name, (low, high) in zip(names, _rooms(cameras, side_m), strict=True):
        seen = present & ((places >= low) & (places <= high)).all(axis=2)
        local_id = _tracks(rng, seen, fps)
        whole[name], found = _message(name, rng, times_us, places, local_id, looks, fps)
        truth |= {(name, number): person for number, person in found.items()}
    views = [CameraView(name, True) for name in names]
    return Store(views, whole, truth, round(seconds * S))


def pieces(whole: Observations, cuts_us: Iterable[int], end_us: int) -> list[Observations]:
    """The camera's messages in order, cut at these times; the last watermark is `end_us`."""
    edges = [-(2**60), *sorted({cut for cut in cuts_us if 0 < cut < end_us}), end_us]
    return [_between(whole, low, high) for low, high in itertools.pairwise(edges)]


def every(step_s: float, whole: Observations, end_us: int) -> list[Observations]:
    return pieces(whole, range(0, end_us, round(step_s * S)), end_us)


def silence(whole: Observations, end_us: int) -> Observations:
    """The camera tells only that nothing comes of it."""
    return _between(whole, end_us, end_us)


def in_step(messages: Sequence[Sequence[Observations]]) -> list[Observations]:
    """The messages of all cameras as they come when all are equally fast."""
    return sorted((one for stream in messages for one in stream), key=lambda one: (one.watermark_us, one.camera_id))


def told(events: Sequence[IdentityEvent]) -> bytes:
    """Every field of every event, to the last bit."""
    return pack_state([tuple(getattr(event, name) for name in event.__slots__) for event in events])


def identities(events: Sequence[IdentityEvent]) -> dict[tuple[str, int], int]:
    """Tracklet -> identity as it is after the last event, merges included."""
    found: dict[tuple[str, int], int] = {}
    absorbed: dict[int, int] = {}
    for event in events:
        if event.identity_id is None:
            continue
        if event.kind == "merge" and event.other_identity_id is not None:
            absorbed[event.other_identity_id] = event.identity_id
        elif event.camera_id is not None and event.local_id is not None:
            found[event.camera_id, event.local_id] = event.identity_id

    def last(identity: int) -> int:
        while identity in absorbed:
            identity = absorbed[identity]
        return identity

    return {key: last(identity) for key, identity in found.items()}


def _walks(
    rng: np.random.Generator, people: int, times_s: Floats, side_m: float, whole_time: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """(T, P, 2) metres and (T, P) whether in the store."""
    length_s = float(times_s[-1])
    places = np.empty((len(times_s), people, 2))
    present = np.ones((len(times_s), people), np.bool_)
    for person in range(people):
        speed = rng.uniform(0.6, 1.4)
        stops = rng.uniform(0, side_m, (int(length_s * speed / side_m * 4) + 8, 2))
        legs_s = np.linalg.norm(np.diff(stops, axis=0), axis=1) / speed
        at_s = np.concatenate([[0.0], np.cumsum(np.maximum(legs_s, 0.1))])
        for axis in range(2):
            places[:, person, axis] = np.interp(times_s, at_s, stops[:, axis])
        if not whole_time:
            begin, end = np.sort(rng.uniform(-0.2 * length_s, 1.2 * length_s, 2))
            present[:, person] = (times_s >= begin) & (times_s <= max(end, begin + 5))
    return places, present


def _rooms(cameras: int, side_m: float) -> list[tuple[Floats, Floats]]:
    """Lower and upper corner of what each camera sees."""
    columns = int(np.ceil(np.sqrt(cameras)))
    rows = int(np.ceil(cameras / columns))
    cell = np.array([side_m / columns, side_m / rows])
    corners = [np.array([number % columns, number // columns]) * cell for number in range(cameras)]
    return [(corner - _OVERLAP_M, corner + cell + _OVERLAP_M) for corner in corners]


def _tracks(rng: np.random.Generator, seen: NDArray[np.bool_], fps: float) -> NDArray[np.int64]:
    """(T, P) local ids, -1 where not seen: a new one after each gap."""
    frames, people = seen.shape
    seen = seen.copy()
    for begin, person in np.argwhere(rng.random((frames, people)) < _LOST_A_SECOND / fps):
        seen[begin : begin + round(rng.uniform(*_LOST_S) * fps), person] = False
    before = np.zeros_like(seen)
    before[1:] = seen[:-1]
    begins = seen & ~before
    number = np.cumsum(begins.ravel()).reshape(begins.shape)
    started = np.maximum.accumulate(np.where(begins, number, 0), axis=0)
    return np.where(seen, started, -1).astype(np.int64)


def _message(
    name: str,
    rng: np.random.Generator,
    times_us: NDArray[np.int64],
    places: Floats,
    local_id: NDArray[np.int64],
    looks: Looks,
    fps: float,
) -> tuple[Observations, dict[int, int]]:
    frame, person = np.nonzero(local_id >= 0)
    order = np.lexsort((local_id[frame, person], frame))
    frame, person = frame[order], person[order]
    number = local_id[frame, person]
    n = len(frame)
    floor = places[frame, person] + rng.normal(0, _NOISE_M, (n, 2))
    described = np.flatnonzero(rng.random(n) < 1.0 / fps)
    return (
        Observations(
            camera_id=name,
            watermark_us=2**60,
            frame_time_us=times_us,
            time_us=times_us[frame],
            local_id=number,
            foot_px=(floor * _PX_PER_M).astype(np.float32),
            floor_xy_m=floor,
            floor_cov_m2=np.tile(np.eye(2) * _NOISE_M**2, (n, 1, 1)),
            confidence=rng.uniform(0.5, 0.95, n).astype(np.float32),
            foot_estimated=rng.random(n) < 0.1,
            embedding=looks.views(person[described].astype(np.int64), rng),
            embedding_row=described.astype(np.int32),
            embedding_quality=rng.uniform(0.3, 1.0, len(described)).astype(np.float32),
        ),
        dict(zip(number.tolist(), person.tolist(), strict=True)),
    )


def _between(whole: Observations, low_us: int, high_us: int) -> Observations:
    first, last = np.searchsorted(whole.time_us, [low_us, high_us])
    kept = (whole.embedding_row >= first) & (whole.embedding_row < last)
    frames = (whole.frame_time_us >= low_us) & (whole.frame_time_us < high_us)
    rows = slice(int(first), int(last))
    return replace(
        whole,
        watermark_us=high_us,
        frame_time_us=whole.frame_time_us[frames],
        time_us=whole.time_us[rows],
        local_id=whole.local_id[rows],
        foot_px=whole.foot_px[rows],
        floor_xy_m=whole.floor_xy_m[rows],
        floor_cov_m2=whole.floor_cov_m2[rows],
        confidence=whole.confidence[rows],
        foot_estimated=whole.foot_estimated[rows],
        edge_px=whole.edge_px[rows],
        edge_xy_m=whole.edge_xy_m[rows],
        embedding=whole.embedding[kept],
        embedding_row=(whole.embedding_row[kept] - first).astype(np.int32),
        embedding_quality=whole.embedding_quality[kept],
    )
