"""A camera's way to the models through Serve: arrays by reference, every answer with a time limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from retail_ray.core.errors import RetailRayError, StuckError
from retail_ray.core.types import Detections, Image, Masks
from retail_ray.runtime.clients import Answer_co, Pending

# A request to a replica that died is asked again: the models keep no state.
ATTEMPTS = 3


@dataclass(slots=True)
class ServePending(Generic[Answer_co]):
    """An answer on its way; `what` names camera, model and chunk in errors."""

    ask: Callable[[], DeploymentResponse]
    response: DeploymentResponse
    what: str
    timeout_s: float

    def result(self) -> Answer_co:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer: Answer_co = self.response.result(timeout_s=self.timeout_s)
            except TimeoutError as error:
                raise StuckError(
                    f"{self.what}: no answer within {self.timeout_s:g} s; look at the deployment with "
                    "`serve status`, or raise runtime.call_timeout_s"
                ) from error
            except RayTaskError as error:
                raise _own(error) from error
            except (RayActorError, BackPressureError):
                if attempt == ATTEMPTS:
                    raise
                self.response = self.ask()
            else:
                return answer
        raise AssertionError("unreachable: the last attempt returns or raises")


@dataclass(frozen=True, slots=True)
class ServeHandles:
    """Handles of the deployed models; None where the site runs without."""

    detector: DeploymentHandle
    embedder: DeploymentHandle | None
    segmenter: DeploymentHandle | None


class ServeClients:
    """The models as one camera actor sees them."""

    def __init__(self, camera_id: str, handles: ServeHandles, timeout_s: float) -> None:
        self._camera_id, self._handles, self._timeout_s = camera_id, handles, timeout_s
        self._requests = 0
        self.patch_hw: tuple[int, int] | None = None
        self.segmenter_side_px: int | None = None
        if handles.embedder is not None:
            self.patch_hw = self._ask("embedder", handles.embedder.patch_hw.remote).result()
        if handles.segmenter is not None:
            self.segmenter_side_px = self._ask("segmenter", handles.segmenter.longest_side_px.remote).result()

    def input_hw(self, native_hw: tuple[int, int]) -> tuple[int, int]:
        pending: Pending[tuple[int, int]] = self._ask("detector", self._handles.detector.input_hw.remote, *native_hw)
        return pending.result()

    def detect(self, images: NDArray[np.uint8]) -> Pending[list[Detections]]:
        return self._ask("detector", self._handles.detector.detect.remote, ray.put(images))

    def embed(self, patches: NDArray[np.uint8]) -> Pending[NDArray[np.float32]]:
        return self._ask("embedder", self._require("embedder").embed.remote, ray.put(patches))

    def segment(self, image: Image, xyxy_px: NDArray[np.float32], native_hw: tuple[int, int]) -> Pending[Masks]:
        return self._ask("segmenter", self._require("segmenter").segment.remote, ray.put(image), xyxy_px, native_hw)

    def _require(self, role: str) -> Any:
        handle = getattr(self._handles, role)
        if handle is None:
            raise RetailRayError(f"camera '{self._camera_id}': the {role} is off, but was asked")
        return handle

    def _ask(self, role: str, method: Callable[..., DeploymentResponse], *args: Any) -> ServePending[Any]:
        self._requests += 1
        what = f"camera '{self._camera_id}', {role}, request {self._requests}"

        def ask() -> DeploymentResponse:
            return method(*args)

        return ServePending(ask, ask(), what, self._timeout_s)


def _own(error: RayTaskError) -> BaseException:
    """The error that the replica raised, if it is one of ours; else Ray's."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, RetailRayError) else error
