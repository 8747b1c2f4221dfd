"""How to run a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retail_ray.runtime.camera import CameraStatus


def _no_status(_cameras: list[CameraStatus], _epoch: int | None) -> None:
    return


def _no_notice(_text: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class JobOptions:
    """live: go with the clock. replace: supersede overlapping runs.

    duration_s ends a live run. on_status gets every camera's state about each second, on_notice what people
    should read (a camera that failed, a resumption).
    """

    live: bool = False
    replace: bool = False
    duration_s: float | None = None
    command: str = ""
    on_status: Callable[[list[CameraStatus], int | None], None] = _no_status
    on_notice: Callable[[str], None] = _no_notice
