"""What goes wrong in real stores, done to recorded streams: calibration and clocks that err, twins, a dead camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.identity_streams import Stream
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Observations
from retail_ray.evaluation.links import people_of_tracklets

Harm = Callable[[Stream, float, np.random.Generator], Stream]


def calibration_error(stream: Stream, metres: float, rng: np.random.Generator) -> Stream:
    """Each camera's floor is shifted by so much in a direction of its own."""
    angle = {camera.camera_id: rng.uniform(0, 2 * np.pi) for camera in stream.cameras}

    def shifted(message: Observations) -> Observations:
        way = np.array([np.cos(angle[message.camera_id]), np.sin(angle[message.camera_id])]) * metres
        return replace(message, floor_xy_m=message.floor_xy_m + way)

    return replace(stream, messages=tuple(map(shifted, stream.messages)))


def clock_error(stream: Stream, seconds: float, rng: np.random.Generator) -> Stream:
    """Every second camera's clock is so much ahead, beside the error that it has."""
    ahead = set(rng.permutation([camera.camera_id for camera in stream.cameras])[::2].tolist())
    shift = round(seconds * US_PER_S)

    def late(message: Observations) -> Observations:
        if message.camera_id not in ahead:
            return message
        return replace(
            message,
            watermark_us=message.watermark_us + shift,
            time_us=message.time_us + shift,
            frame_time_us=message.frame_time_us + shift,
        )

    return replace(stream, messages=tuple(map(late, stream.messages)))


def twins(stream: Stream, share: float, rng: np.random.Generator) -> Stream:
    """So many people look exactly like somebody else: their embeddings are drawn from the other's."""
    people = people_of_tracklets(stream.scene).person
    of = dict(zip(stream.keys(), people.tolist(), strict=True))
    looks: dict[int, list[NDArray[np.float32]]] = {}
    for message in stream.messages:
        for row, vector in zip(message.embedding_row.tolist(), message.embedding, strict=True):
            looks.setdefault(of.get((message.camera_id, int(message.local_id[row])), -1), []).append(vector)
    known = sorted(person for person in looks if person >= 0)
    chosen = rng.permutation(known)[: round(share * len(known))].tolist()
    twin_of = {person: int(rng.choice([other for other in known if other != person])) for person in chosen}

    def dressed(message: Observations) -> Observations:
        vectors = message.embedding.copy()
        for at, row in enumerate(message.embedding_row.tolist()):
            twin = twin_of.get(of.get((message.camera_id, int(message.local_id[row])), -1))
            if twin is not None:
                vectors[at] = looks[twin][int(rng.integers(len(looks[twin])))]
        return replace(message, embedding=vectors)

    return replace(stream, messages=tuple(map(dressed, stream.messages)))


def dead_cameras(stream: Stream, count: float, rng: np.random.Generator) -> Stream:
    """So many cameras that count no door tell nothing; their tracklets are not scored either."""
    counting = {line.camera for line in stream.site.lines}
    others = [camera.camera_id for camera in stream.cameras if camera.camera_id not in counting]
    dead = set(rng.permutation(others)[: round(count)].tolist())
    messages = tuple(message for message in stream.messages if message.camera_id not in dead)
    cameras = tuple(camera for camera in stream.cameras if camera.camera_id not in dead)
    return replace(stream, messages=messages, cameras=cameras)


HARMS: Mapping[str, tuple[Harm, tuple[float, ...]]] = {
    "calibration error, m": (calibration_error, (0.2, 0.5, 1.0)),
    "clock error, s": (clock_error, (0.2, 0.5, 1.0)),
    "share of people with a twin": (twins, (0.25, 0.5)),
    "dead cameras": (dead_cameras, (1.0,)),
}
