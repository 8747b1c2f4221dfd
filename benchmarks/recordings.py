"""Answers of detector and embedder, kept on disk, so that runs over the same clips ask the networks once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmarks.true_parts import Wrapped
from retail_ray.config_models import ModelSettings
from retail_ray.core.errors import DataError
from retail_ray.core.types import Detections
from retail_ray.runtime.build_models import find_weights
from retail_ray.runtime.clients import Deferred, ModelClients, Pending

KEY_BYTES = 16


class Remembered(Wrapped):
    """Embeds a patch once, whatever run asks for it; `known` maps a digest of its pixels to the vector."""

    def __init__(self, own: ModelClients, known: dict[bytes, NDArray[np.float32]]) -> None:
        super().__init__(own)
        self._known = known

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        return Deferred(lambda: self._embedded(patches))

    def _embedded(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        keys = [hashlib.blake2b(patch.tobytes(), digest_size=KEY_BYTES).digest() for patch in patches]
        new = [row for row, key in enumerate(keys) if key not in self._known]
        if new:
            vectors = self._own.embed(np.ascontiguousarray(patches[new])).result()
            self._known.update((keys[row], vector) for row, vector in zip(new, vectors, strict=True))
        if not keys:
            return self._own.embed(patches).result()
        return np.stack([self._known[key] for key in keys])


def digest(clips: Iterable[Path], settings: ModelSettings) -> str:
    """Short name of what an answer depends on: clips, settings and weights."""
    made = hashlib.sha256(settings.model_dump_json().encode())
    weights = find_weights(settings.weights)
    files = sorted(path for path in weights.rglob("*") if path.is_file()) if weights.is_dir() else [weights]
    for path in (*sorted(clips), *files):
        made.update(path.name.encode())
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:16]


def save_detections(path: Path, chunks: list[list[Detections]]) -> None:
    """All chunks of one camera in one file."""
    frames = [one for chunk in chunks for one in chunk]
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
    _save(
        path,
        chunk=np.array([len(chunk) for chunk in chunks], np.int64),
        frame=np.array([len(one) for one in frames], np.int64),
        xyxy_px=np.concatenate([one.xyxy_px for one in (none, *frames)]),
        confidence=np.concatenate([one.confidence for one in (none, *frames)]),
        class_id=np.concatenate([one.class_id for one in (none, *frames)]),
    )


def load_detections(path: Path) -> list[list[Detections]]:
    """None yet where there is no such file. DataError where it is damaged."""
    if not path.is_file():
        return []
    found = _load(path, "chunk", "frame", "xyxy_px", "confidence", "class_id")
    ends = np.cumsum(found["frame"])
    frames = [
        Detections(found["xyxy_px"][rows], found["confidence"][rows], found["class_id"][rows])
        for rows in map(slice, (ends - found["frame"]).tolist(), ends.tolist())
    ]
    lasts = np.cumsum(found["chunk"])
    return [frames[first:last] for first, last in zip((lasts - found["chunk"]).tolist(), lasts.tolist(), strict=True)]


def save_embeddings(path: Path, known: dict[bytes, NDArray[np.float32]]) -> None:
    if known:
        keys = np.frombuffer(b"".join(known), np.uint8).reshape(-1, KEY_BYTES)
        _save(path, key=keys, vector=np.stack(list(known.values())))


def load_embeddings(path: Path) -> dict[bytes, NDArray[np.float32]]:
    """None yet where there is no such file. DataError where it is damaged."""
    if not path.is_file():
        return {}
    found = _load(path, "key", "vector")
    return {key.tobytes(): vector for key, vector in zip(found["key"], found["vector"], strict=True)}


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    """The file appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    draft.rename(path)


def _load(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file) as content:
            return {name: content[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(f"{path}: damaged ({error}); delete it, it will be made again") from error
