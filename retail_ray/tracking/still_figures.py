"""Mannequins, posters, mirrors: what a detector takes for a person and what never moves is not followed.

A figure is known from the site file, or learnt: a box that stays the same for minutes is nobody's. People sway, turn
and lean, so theirs do not. Its detections stay detections, without a tracklet.
"""

from __future__ import annotations

import pickle
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.boxes import Boxes, iou
from retail_ray.core.errors import TrackerError
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.core.ports import Tracker
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Detections, Image, Tracks

FITS: Final = 0.6
"""Overlap (IoU) with a figure from which on a detection is that figure."""
_SAME: Final = 0.85
SEEN_SHARE: Final = 0.8
"""Share of the looks in which a figure is there: somebody passes before it now and then."""
_LEAST_SHARE = 0.5
_JUDGED_LOOKS, _MOST_SPOTS, _AVERAGED = 5, 64, 50
# A second tells as much as its ten frames.
_LOOK_US, _LOOKS = US_PER_S, 20
_FORGET_US = 3600 * US_PER_S


class StillFigures:
    """The figures of one camera. known: (F, 4) float32 xyxy native pixels, for good. after_s: a box that has stood so
    long, in `seen_share` of the looks, is learnt, and forgotten again when it was gone for an hour; 0 learns none.
    """

    def __init__(self, known: Boxes, after_s: float, seen_share: float = SEEN_SHARE) -> None:
        self._known, self._after_us, self._share = known, round(after_s * US_PER_S), seen_share
        self._learnt, self._seen_us = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        self._looked_us: int | None = None
        self._restore_spots(np.zeros((0, 4)), np.zeros((0, 3), np.int64))

    @property
    def boxes(self) -> Boxes:
        """(F, 4) float32 of all figures, known ones first."""
        return np.concatenate([self._known, self._learnt])

    def among(self, xyxy_px: Boxes, time_us: int) -> NDArray[np.bool_]:
        """(N,) which detections of the next frame are figures."""
        fits = iou(self.boxes, xyxy_px) >= FITS
        figure = np.asarray(fits.any(axis=0))
        self._seen_us[fits[len(self._known) :].any(axis=1)] = time_us
        present = time_us - self._seen_us <= _FORGET_US
        self._learnt, self._seen_us = self._learnt[present], self._seen_us[present]
        every_us = min(_LOOK_US, self._after_us // _LOOKS)
        if self._after_us and (self._looked_us is None or time_us - self._looked_us >= every_us):
            self._looked_us = time_us
            self._learn(xyxy_px[~figure], time_us)
        return figure

    def state(self) -> tuple[Any, ...]:
        return self._looked_us, self._learnt, self._seen_us, self._spots, self._counts

    def restore(self, state: tuple[Any, ...]) -> None:
        self._looked_us, *arrays = state
        self._learnt, self._seen_us, *spots = (array.copy() for array in arrays)
        self._restore_spots(*spots)

    def _restore_spots(self, spots: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        """spots: (S, 4) mean boxes. counts: (S, 3) first_us, looks since, looks in which the box was there."""
        self._spots, self._counts = spots, counts

    def _learn(self, xyxy_px: Boxes, time_us: int) -> None:
        overlap = iou(self._spots.astype(np.float32), xyxy_px)
        here = (overlap >= _SAME).any(axis=1)
        self._counts[:, 1] += 1
        self._counts[here, 2] += 1
        if here.any():
            weight = 1.0 / np.minimum(self._counts[here, 2], _AVERAGED)[:, None]
            self._spots[here] += weight * (xyxy_px[overlap[here].argmax(axis=1)] - self._spots[here])
        age_us, share = time_us - self._counts[:, 0], self._counts[:, 2] / self._counts[:, 1]
        grown = here & (age_us >= self._after_us) & (share >= self._share)
        for box in self._spots[grown].astype(np.float32):
            if not (iou(self.boxes, box[None]) >= FITS).any():
                self._learnt = np.concatenate([self._learnt, box[None]])
                self._seen_us = np.append(self._seen_us, time_us)
        kept = ~grown & ((self._counts[:, 1] < _JUDGED_LOOKS) | (share >= min(_LEAST_SHARE, self._share)))
        new = np.flatnonzero(~(overlap >= _SAME).any(axis=0))[: max(_MOST_SPOTS - int(kept.sum()), 0)]
        begun = np.tile(np.array([time_us, 1, 1], np.int64), (len(new), 1))
        self._restore_spots(
            np.concatenate([self._spots[kept], xyxy_px[new].astype(np.float64)]),
            np.concatenate([self._counts[kept], begun]),
        )


class PeopleTracker:
    """A tracker that is told of people only."""

    def __init__(self, tracker: Tracker, figures: StillFigures) -> None:
        self._tracker, self._figures = tracker, figures

    def update(self, detections: Detections, image: Image | None, time_us: int) -> Tracks:
        people = np.flatnonzero(~self._figures.among(detections.xyxy_px, time_us))
        told = Detections(detections.xyxy_px[people], detections.confidence[people], detections.class_id[people])
        tracks = self._tracker.update(told, image, time_us)
        index = people[tracks.detection_index].astype(np.int32)
        return Tracks(tracks.xyxy_px, tracks.confidence, tracks.local_id, index)

    def state(self) -> bytes:
        return pack_state((self._tracker.state(), self._figures.state()))

    def restore(self, state: bytes) -> None:
        """Raises TrackerError as the tracker does, and when there are no figures in the state."""
        try:
            tracker, figures = unpack_state(state)
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
            raise TrackerError(
                "the saved tracker holds no still figures: another version wrote it; start anew"
            ) from error
        self._tracker.restore(tracker)
        self._figures.restore(figures)
