"""The watch over one camera's view as the pipeline uses it: looks at its pace, alerts, and words for the live state."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Boxes, Letterbox
from retail_ray.core.floor_scale import visible_grid
from retail_ray.core.homography import FloorCalibration
from retail_ray.core.retail_records import Alert, Severity
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Image
from retail_ray.core.view import ViewChange, ViewFeatures, ViewState
from retail_ray.video.fixed_view import FixedView, ViewRule
from retail_ray.video.view_features import LEAST_INLIERS

LOOK_EVERY_US: Final = 10 * US_PER_S
SURE_BOX: Final = 0.25
_SEVERITY: Final[dict[ViewState, Severity]] = {"moved": "critical", "blocked": "warning", "dark": "warning"}


class ViewWatch(Protocol):
    """What the pipeline asks of a watch."""

    @property
    def words(self) -> str:
        """What is wrong with the view, for people; empty while nothing is."""
        ...

    def is_due(self, time_us: int) -> bool:
        """Whether the frame of this time is one to look at; asked once for each frame."""
        ...

    def look(
        self, image: Image, letterbox: Letterbox, time_us: int, people_px: Boxes, calibration: FloorCalibration | None
    ) -> list[Alert]: ...

    def state(self) -> bytes: ...

    def restore(self, state: bytes) -> None: ...


class NoWatch:
    """For cameras whose view is not watched."""

    words = ""

    def is_due(self, time_us: int) -> bool:  # noqa: ARG002 - never
        return False

    def look(self, *_: object) -> list[Alert]:
        return []

    def state(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        pass


@dataclass(frozen=True, slots=True)
class ViewMemory:
    """Where the reference is kept between runs. recall gives None where there is none."""

    recall: Callable[[], ViewFeatures | None]
    remember: Callable[[ViewFeatures], None]


class CameraViewWatch:
    """Looks at a letterboxed frame every LOOK_EVERY_US of event time."""

    def __init__(self, camera_id: str, memory: ViewMemory, rule: ViewRule | None = None) -> None:
        self._camera_id, self._memory, self._rule = camera_id, memory, rule or ViewRule()
        self._view: FixedView | None = None
        self._saved: bytes | None = None
        self._slot: int | None = None
        self.words = ""

    def is_due(self, time_us: int) -> bool:
        slot = time_us // LOOK_EVERY_US
        first_of_slot, self._slot = slot != self._slot, slot
        return first_of_slot

    def look(
        self, image: Image, letterbox: Letterbox, time_us: int, people_px: Boxes, calibration: FloorCalibration | None
    ) -> list[Alert]:
        """`image` is letterboxed (H, W, 3) uint8 RGB; the alerts that a change of state gives."""
        view = self._opened(letterbox.native_hw)
        (left, top), (height, width) = letterbox.pad_px, letterbox.content_hw
        content = np.ascontiguousarray(image[top : top + height, left : left + width])
        change = view.look(content, letterbox.scale, people_px, time_us)
        if change is None:
            return []
        if change.before == "learning" and view.reference is not None:
            self._memory.remember(view.reference)
        alerts = self._alerts(change, letterbox.native_hw, calibration)
        self.words = alerts[-1].message if alerts and alerts[-1].state == "raised" else ""
        return alerts

    def state(self) -> bytes:
        """The same bytes for the same watch, also after `restore`."""
        view = self._saved if self._view is None else self._view.state()
        hw = None if self._view is None else self._view.native_hw
        return pickle.dumps((self._slot, f"{self.words}", hw, view))

    def restore(self, state: bytes) -> None:
        self._slot, self.words, hw, self._saved = pickle.loads(state)
        if hw is not None and self._saved is not None:
            self._view = FixedView(hw, rule=self._rule)
            self._view.restore(self._saved)
            self._saved = None

    def _opened(self, native_hw: tuple[int, int]) -> FixedView:
        if self._view is None:
            self._view = FixedView(native_hw, self._memory.recall(), self._rule)
        return self._view

    def _alerts(
        self, change: ViewChange, native_hw: tuple[int, int], calibration: FloorCalibration | None
    ) -> list[Alert]:
        alerts = []
        if change.before in _SEVERITY:
            alerts.append(self._alert(change, change.before, "cleared", "the view is as it was", native_hw))
        if change.after in _SEVERITY:
            words = _words(change, native_hw, calibration)
            alerts.append(self._alert(change, change.after, "raised", words, native_hw))
        return alerts

    def _alert(self, change: ViewChange, about: ViewState, state: str, words: str, native_hw: tuple[int, int]) -> Alert:
        moved = about == "moved"
        limit_px = self._rule.moved_share * native_hw[1]
        shift_px = change.shift_px if np.isfinite(change.shift_px) else float(max(native_hw))
        return Alert(
            time_us=change.time_us,
            rule_id=f"camera_{about}",
            state="raised" if state == "raised" else "cleared",
            severity=_SEVERITY[about],
            dedup_key=f"camera_{about}:{self._camera_id}",
            zone_id=None,
            lane_id=None,
            camera_id=self._camera_id,
            value=shift_px if moved else float(change.features),
            threshold=limit_px if moved else float(2 * LEAST_INLIERS),
            message=f"camera '{self._camera_id}': {words}",
        )


def _words(change: ViewChange, native_hw: tuple[int, int], calibration: FloorCalibration | None) -> str:
    if change.after == "dark":
        return "the picture is dark; nothing can be recognised"
    if change.after == "blocked":
        return "the view is blocked or out of focus; its background is not recognised"
    if change.to_now is None:
        return "has moved: nothing of the remembered view is left in the picture; calibrate it anew"
    effect_m = floor_effect_m(change.to_now, native_hw, calibration)
    on_floor = "" if effect_m is None else f", {effect_m:.2f} m on the floor"
    return f"has moved: the picture is shifted by {change.shift_px:.1f} px{on_floor}; calibrate it anew"


def floor_effect_m(
    to_now: NDArray[np.float64], native_hw: tuple[int, int], calibration: FloorCalibration | None
) -> float | None:
    """Median error of floor positions over the visible floor since the picture moved; None without calibration."""
    if calibration is None:
        return None
    before_px = visible_grid(native_hw)
    mapped = np.column_stack([before_px, np.ones(len(before_px))]) @ to_now.T
    before, now = calibration.to_floor(before_px), calibration.to_floor(mapped[:, :2] / mapped[:, 2:])
    error_m = np.hypot(*(now - before).T)
    near_m = np.hypot(*(before - calibration.to_floor(np.array([[native_hw[1] / 2, native_hw[0]]]))).T)
    usable = np.isfinite(error_m) & (near_m < 25.0)
    return float(np.median(error_m[usable])) if usable.any() else None
