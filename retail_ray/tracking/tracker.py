"""BoxMOT 25 behind the Tracker port: the only file that knows `boxmot.trackers`.

BoxMOT brings torch (3 to 4 s, 530 MiB a process), so it is imported when the first tracker is made.
"""

from __future__ import annotations

import importlib
import io
import logging
import pickle
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import TrackerError
from retail_ray.core.ports import Tracker
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Detections, Image, Tracks
from retail_ray.tracking.options import TrackerKind, resolve, tracker_kind

STATE_FORMAT = 1
_SMALLEST_SIDE_PX = 1.0
# Of the interval that is usual now: a source slower than promised must not look like one that loses frames.
_GAP_INTERVALS = 2.5
# BoxMOT passes ids on as float32, exact up to 2**24; it starts anew at an idle moment long before.
_RENEW_FROM_ID = 2**22
_LAST_ID = 2**24
_ID_COLUMN, _DETECTION_COLUMN = 4, 7
_LIVE_LISTS = ("active_tracks", "trackers", "lost_stracks", "lost_tracks")
_DISPLAY_HISTORIES = ("history_observations", "history")
# Made again from the settings: functions, and frozen descriptions without any state.
_REBUILT = ("asso_func", "geometry_ops", "detection_layout", "capabilities", "class_catalog", "kalman_noise_config")


def create_tracker(name: str, *, frame_rate: float, options: Mapping[str, Any]) -> Tracker:
    """A fresh tracker for one camera.

    name: one of options.TRACKER_NAMES. frame_rate: how many frames/s will really be given to `update` (the
    analysis rate, or the source's own if that is lower). options: `buffer_s` and BoxMOT's options of this tracker.
    Raises TrackerError naming the tracker or option.
    """
    settings, buffer_s = check_options(name, frame_rate=frame_rate, options=options)
    return BoxMotTracker(name, tracker_kind(name), settings, frame_rate=frame_rate, buffer_s=buffer_s)


def check_options(name: str, *, frame_rate: float, options: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """BoxMOT's constructor arguments and the buffer in seconds, without importing torch.

    Raises TrackerError as `create_tracker` does, so that a configuration can be checked before a run.
    """
    kind = tracker_kind(name)
    from boxmot.trackers.config import load_tracker_defaults

    return resolve(name, frame_rate, options, load_tracker_defaults(kind.module))


def longest_absence_s(buffer_s: float, frame_rate: float) -> float:
    """How long after it was last seen a track may still go on.

    BoxMOT counts frames and still takes up a lost track in the frame after its buffer; frames may come slower than
    promised before that counts as a gap.
    """
    return _GAP_INTERVALS * (max(buffer_s, 1 / frame_rate) + 1 / frame_rate)


class BoxMotTracker:
    """One camera's tracker; local ids count from 1 in the order in which tracks first come out, and never return."""

    def __init__(
        self, name: str, kind: TrackerKind, settings: Mapping[str, Any], *, frame_rate: float, buffer_s: float
    ) -> None:
        self._name = name
        self._kind = kind
        self._settings = dict(settings)
        self._interval_us = round(US_PER_S / frame_rate)
        self._buffer_us = round(buffer_s * US_PER_S)
        self._frame_hw: tuple[int, int] | None = None
        self._next_local_id = 1
        self._local_ids: dict[int, int] = {}
        self._origin_us = 0
        self._last_us: int | None = None
        self._elapsed_us = 0
        self._inner = self._new_inner()

    def update(self, detections: Detections, image: Image | None, time_us: int) -> Tracks:
        """Advance to a frame; `image` is read only by trackers that need the frame's size.

        Boxes thinner than a pixel start or feed no track. Raises TrackerError when time does not advance.
        """
        self._advance(time_us)
        sides = detections.xyxy_px[:, 2:] - detections.xyxy_px[:, :2]
        usable = np.flatnonzero((sides >= _SMALLEST_SIDE_PX).all(axis=1))
        confidence = np.clip(detections.confidence[usable], 0, 1)
        rows = np.column_stack([detections.xyxy_px[usable], confidence, np.zeros(len(usable), np.float32)])
        tracks = self._tracks(self._step(rows.astype(np.float32), image, time_us), detections, usable)
        self._forget_the_dead()
        return tracks

    def state(self) -> bytes:
        """Raises TrackerError when camera motion compensation is on: it holds the last picture."""
        if getattr(self._inner, "cmc", None) is not None:
            raise TrackerError(f"tracker '{self._name}': with camera motion compensation the state would hold pixels")
        inner = {key: value for key, value in vars(self._inner).items() if key not in _REBUILT}
        buffer = io.BytesIO()
        _StatePickler(buffer, protocol=5).dump(
            {
                **self._label(),
                "frame_hw": self._frame_hw,
                "next_local_id": self._next_local_id,
                "local_ids": self._local_ids,
                "origin_us": self._origin_us,
                "last_us": self._last_us,
                "elapsed_us": self._elapsed_us,
                "inner": inner,
            }
        )
        return zlib.compress(buffer.getvalue(), level=1)

    def restore(self, state: bytes) -> None:
        """Raises TrackerError when the state is damaged or of another tracker, setting or BoxMOT version."""
        inner = self._new_inner()
        found = _load(state, self._name)
        for key, want in self._label().items():
            if found.get(key) != want:
                raise TrackerError(
                    f"tracker '{self._name}': the state has {key} {found.get(key)!r}, this tracker {want!r}; "
                    "start without the state, or with the settings it was written with"
                )
        vars(inner).update(found["inner"])
        if inner._first_frame_processed:
            inner.asso_func = inner._build_association_function(width=inner.w, height=inner.h)
        self._inner = inner
        self._frame_hw, self._local_ids = found["frame_hw"], found["local_ids"]
        self._next_local_id, self._origin_us = found["next_local_id"], found["origin_us"]
        self._last_us, self._elapsed_us = found["last_us"], found["elapsed_us"]

    def _label(self) -> dict[str, Any]:
        """What a state must have been written with."""
        from boxmot import __version__ as boxmot_version

        return {
            "format": STATE_FORMAT,
            "tracker": self._name,
            "boxmot": boxmot_version,
            "interval_us": self._interval_us,
            "settings": self._settings,
        }

    def _new_inner(self) -> Any:
        module = importlib.import_module(f"boxmot.trackers.box.{self._kind.module}.tracker")
        logging.getLogger("boxmot").setLevel(logging.WARNING)
        return getattr(module, self._kind.cls)(**self._settings)

    def _start_anew(self, time_us: int) -> None:
        self._local_ids.clear()
        self._origin_us = time_us
        self._inner = self._new_inner()

    def _advance(self, time_us: int) -> None:
        """Bring the tracker to the eve of `time_us`: over a gap it predicts frame by frame, or starts anew."""
        last_us = self._last_us
        if last_us is None:
            self._origin_us = self._last_us = time_us
            return
        elapsed_us = time_us - last_us
        if elapsed_us <= 0:
            raise TrackerError(f"tracker '{self._name}': frame at {time_us} us does not follow the one at {last_us} us")
        usual_us = max(self._interval_us, self._elapsed_us)
        self._last_us, self._elapsed_us = time_us, elapsed_us
        next_id = self._inner.id_allocator.next_id
        if elapsed_us > self._buffer_us or (next_id >= _RENEW_FROM_ID and self._idle()):
            self._start_anew(time_us)
        elif next_id >= _LAST_ID:
            raise TrackerError(f"tracker '{self._name}': {next_id} tracks without one idle moment; restart the camera")
        elif elapsed_us > _GAP_INTERVALS * usual_us:
            for missed in range(1, round(elapsed_us / usual_us)):
                self._step(np.zeros((0, 6), np.float32), None, last_us + missed * usual_us)

    def _idle(self) -> bool:
        return not any(getattr(self._inner, name, ()) for name in _LIVE_LISTS)

    def _step(self, rows: NDArray[np.float32], image: Image | None, time_us: int) -> NDArray[np.float32]:
        """(N, 6) xyxy, confidence, class 0 -> BoxMOT's (M, 8) xyxy, id, confidence, class, row."""
        frame = self._frame_for_inner(image)
        timing = {"timestamp_s": (time_us - self._origin_us) / US_PER_S} if self._settings.get("variable_dt") else {}
        found: NDArray[np.float32] = self._inner.update(rows, frame, **timing)
        return found

    def _frame_for_inner(self, image: Image | None) -> Image | None:
        """What BoxMOT must see: mostly nothing, some trackers the frame's size, motion compensation the picture."""
        if not self._inner.requirements.frame:
            return None
        if image is not None:
            self._frame_hw = (image.shape[0], image.shape[1])
        if getattr(self._inner, "cmc", None) is not None:
            if image is None:
                raise TrackerError(f"tracker '{self._name}': motion compensation needs the picture of every frame")
            return np.ascontiguousarray(image[..., ::-1])
        if self._frame_hw is None:
            raise TrackerError(f"tracker '{self._name}' needs the picture of the first frame, for its size")
        return np.broadcast_to(np.uint8(0), (*self._frame_hw, 3))

    def _forget_the_dead(self) -> None:
        """Drop what BoxMOT keeps for display or for ever, so that the state stays small."""
        inner = self._inner
        live = [track for name in _LIVE_LISTS for track in getattr(inner, name, ())]
        for track in live:
            for name in _DISPLAY_HISTORIES:
                history = getattr(track, name, None)
                if history is not None:
                    history.clear()
        removed = getattr(inner, "removed_stracks", None)
        live_ids = {track.id for track in live}
        self._local_ids = {inner_id: local for inner_id, local in self._local_ids.items() if inner_id in live_ids}
        if removed:
            kept = [track for track in removed if track.id in live_ids]
            removed.clear()
            removed.extend(kept)

    def _tracks(self, found: NDArray[np.float32], detections: Detections, usable: NDArray[np.intp]) -> Tracks:
        found = found[found[:, _DETECTION_COLUMN] >= 0]
        found = found[np.argsort(found[:, _ID_COLUMN])]
        index = usable[found[:, _DETECTION_COLUMN].astype(np.intp)]
        local_id = np.array([self._local_id(int(inner_id)) for inner_id in found[:, _ID_COLUMN]], np.int64)
        order = np.argsort(local_id)
        index = index[order]
        return Tracks(
            xyxy_px=detections.xyxy_px[index],
            confidence=detections.confidence[index],
            local_id=local_id[order],
            detection_index=index.astype(np.int32),
        )

    def _local_id(self, inner_id: int) -> int:
        """BoxMOT also numbers tracks that never come out; the product's ids have no holes."""
        if inner_id not in self._local_ids:
            self._local_ids[inner_id] = self._next_local_id
            self._next_local_id += 1
        return self._local_ids[inner_id]


class _StatePickler(pickle.Pickler):
    """Writes motion models, which hold functions, by their name, and members of enumerations by their value."""

    def reducer_override(self, obj: Any) -> Any:
        # Some Pythons (3.11.2 is one) would write `getattr` and a name, which is refused when it is read.
        return (type(obj), (obj.value,)) if isinstance(obj, Enum) else NotImplemented

    def persistent_id(self, obj: Any) -> Any:
        from boxmot.trackers.common.motion import MotionModelAdapter

        return ("motion_model", obj.kind.value) if isinstance(obj, MotionModelAdapter) else None


class _StateUnpickler(pickle.Unpickler):
    """Reads BoxMOT's own classes and numpy arrays; a state that names anything else is refused."""

    _ROOTS = ("boxmot.trackers.", "boxmot.motion.", "boxmot.structures.")
    _OTHERS = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.linalg", "inv"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
            ("numpy._core.numeric", "_frombuffer"),
            ("collections", "deque"),
            ("collections", "OrderedDict"),
            ("builtins", "set"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._OTHERS:
            return super().find_class(module, name)
        if module.startswith(self._ROOTS) and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a tracker's state")

    def persistent_load(self, pid: Any) -> Any:
        from boxmot.trackers.common.motion import create_motion_model

        kind, name = pid
        if kind != "motion_model":
            raise pickle.UnpicklingError(f"unknown reference {pid!r}")
        return create_motion_model(name)


def _load(state: bytes, name: str) -> dict[str, Any]:
    try:
        found = _StateUnpickler(io.BytesIO(zlib.decompress(state))).load()
    except (
        zlib.error, pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError,
        ImportError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise TrackerError(f"tracker '{name}': the state of {len(state)} bytes cannot be read: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("inner"), dict):
        raise TrackerError(f"tracker '{name}': the state of {len(state)} bytes is not a tracker's state")
    return found
