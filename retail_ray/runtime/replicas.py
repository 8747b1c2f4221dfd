"""The classes behind the Serve deployments: batch, call, return. `apps.py` turns them into deployments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retail_ray.config_models import DetectorSettings, EmbedderSettings, ModelSettings, SegmenterSettings
from retail_ray.core.errors import ModelError
from retail_ray.core.types import Detections, Image, Masks
from retail_ray.runtime.build_models import DetectorPool, build_embedder, build_segmenter
from retail_ray.runtime.coalesce import Coalescer

# Chunks of this many frames in all go to a GPU at once; a CPU infers every image alone anyway.
GPU_BATCH_FRAMES = 64
# Two chunks at a time keep all inference streams of a CPU busy while one of them drains.
CPU_LANES = 2
# The settings of a model that the deployed site runs without, as JSON.
OFF = "null"


class _Replica:
    """What all replicas share: which settings they run, and a health check that Serve calls."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._on_gpu = settings.resolved_device == "cuda"

    async def settings(self) -> str:
        """The settings as JSON, so that a job can see whether it asks the models it means."""
        return self._settings.model_dump_json()


class OffReplica:
    """In place of a model that the deployed site runs without; a job whose site has the model is refused."""

    def __init__(self, role: str) -> None:
        logging.getLogger("ray.serve").warning("%s is off: the deployed site does not set models.%s", role, role)

    async def settings(self) -> str:
        """OFF, where a model tells its settings."""
        return OFF


class DetectorReplica(_Replica):
    """Person detection for all cameras."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        self._pool = DetectorPool(settings)
        self._chunks: Coalescer[NDArray[np.uint8], list[Detections]] = Coalescer(
            self._detect_all, len, GPU_BATCH_FRAMES if self._on_gpu else 1, lanes=1 if self._on_gpu else CPU_LANES
        )

    async def input_hw(self, native_height: int, native_width: int) -> tuple[int, int]:
        return await asyncio.to_thread(self._pool.input_hw, (native_height, native_width))

    async def detect(self, images: NDArray[np.uint8]) -> list[Detections]:
        """(K, H, W, 3) uint8 letterboxed -> K Detections in model pixels."""
        return await self._chunks.submit(images)

    async def check_health(self) -> None:
        """Run one grey image through the network; Serve replaces the replica when this raises or hangs."""
        await asyncio.to_thread(self._pool.check)

    def _detect_all(self, chunks: Sequence[NDArray[np.uint8]]) -> list[list[Detections]]:
        results: list[list[Detections]] = [[] for _ in chunks]
        shapes = sorted({chunk.shape[1:3] for chunk in chunks})
        for shape in shapes:
            members = [i for i, chunk in enumerate(chunks) if chunk.shape[1:3] == shape]
            images = chunks[members[0]] if len(members) == 1 else np.concatenate([chunks[i] for i in members])
            found = self._pool.detect(images)
            for i in members:
                results[i], found = found[: len(chunks[i])], found[len(chunks[i]) :]
        return results


class EmbedderReplica(_Replica):
    """ReID embeddings for all cameras."""

    def __init__(self, settings: EmbedderSettings) -> None:
        super().__init__(settings)
        self._embedder = build_embedder(settings)
        self._patches: Coalescer[NDArray[np.uint8], NDArray[np.float32]] = Coalescer(
            self._embed_all, len, 4 * GPU_BATCH_FRAMES if self._on_gpu else 1
        )

    async def patch_hw(self) -> tuple[int, int]:
        return self._embedder.patch_hw

    async def embed(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, h, w, 3) uint8 -> (N, D) float32, L2-normalised."""
        return await self._patches.submit(patches)

    async def check_health(self) -> None:
        patch = np.full((1, *self._embedder.patch_hw, 3), 127, np.uint8)
        if not np.isfinite(await asyncio.to_thread(self._embedder.embed, patch)).all():
            raise ModelError("embedder: a grey patch gave an embedding that is not finite")

    def _embed_all(self, requests: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        if len(requests) == 1:
            return [self._embedder.embed(requests[0])]
        embeddings = self._embedder.embed(np.concatenate(requests))
        return np.split(embeddings, np.cumsum([len(patches) for patches in requests])[:-1])


class SegmenterReplica(_Replica):
    """Masks for the key frames of all cameras."""

    def __init__(self, settings: SegmenterSettings) -> None:
        super().__init__(settings)
        self._segmenter = build_segmenter(settings)
        self._frames: Coalescer[tuple[Image, NDArray[np.float32], tuple[int, int]], Masks] = Coalescer(
            lambda requests: [self._segmenter.segment(*request) for request in requests], lambda _: 1, 1
        )

    async def check_health(self) -> None:
        """Half the job of a health check is to answer at all; a frame would cost a CPU many seconds."""
        if self._segmenter.longest_side_px <= 0:
            raise ModelError("segmenter: it has no input size")

    async def longest_side_px(self) -> int:
        return self._segmenter.longest_side_px

    async def segment(self, image: Image, xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Masks:
        """`image` is the scaled key frame; boxes and masks are in native pixels."""
        return await self._frames.submit((image, xyxy_px, native_hw))
