"""What the gallery decided, as append-only events in one order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retail_ray.core.records import IdentityEvent
from retail_ray.identity.association import Choice, Folded
from retail_ray.identity.evidence import probability
from retail_ray.identity.revision import Change
from retail_ray.identity.tracklets import Tracklet

_NAN = float("nan")


class Decisions:
    """Numbers events through all sessions of a run, and gives them out once. evidence_worth: see `GallerySettings`."""

    def __init__(self, camera_ids: Sequence[str], evidence_worth: float) -> None:
        self._camera_ids, self._evidence_worth = tuple(camera_ids), evidence_worth
        self._sequence = 0
        self._events: list[IdentityEvent] = []
        self.session_id: str | None = None

    def take(self) -> list[IdentityEvent]:
        """Those since the last call, in the order of their sequence."""
        events, self._events = self._events, []
        return events

    def begin(self, session_id: str, time_us: int, reason: str) -> None:
        self.session_id = session_id
        self._tell(kind="session", time_us=time_us, reason=reason)

    def link(self, time_us: int, tracklet: Tracklet, choice: Choice, reason: str) -> None:
        """A tracklet got its first identity: the first of it, or a further one."""
        kind = "assign" if choice.kind == "assign" else "create"
        known = {"score": choice.score, "margin": choice.margin, "p_same": choice.p_same}
        self._tell(kind=kind, time_us=time_us, reason=reason, **self._of(tracklet), **known)

    def merge(self, time_us: int, change: Change, reason: str) -> None:
        """One identity absorbed another."""
        about = {"identity_id": change.person, "other_identity_id": change.other}
        self._tell(kind="merge", time_us=time_us, reason=reason, **about, **self._gain(change))

    def split(self, time_us: int, tracklet: Tracklet, change: Change, reason: str) -> None:
        """A tracklet left `change.other` for the identity that it has now."""
        about = {**self._of(tracklet), "other_identity_id": change.other}
        self._tell(kind="split", time_us=time_us, reason=reason, **about, **self._gain(change))

    def state(self) -> tuple[Any, ...]:
        return self._sequence, self.session_id

    def restore(self, state: tuple[Any, ...]) -> None:
        self._sequence, self.session_id = state
        self._events = []

    def _of(self, tracklet: Tracklet) -> dict[str, Any]:
        camera_id = self._camera_ids[tracklet.camera]
        return {"identity_id": tracklet.person, "camera_id": camera_id, "local_id": tracklet.local_id}

    def _gain(self, change: Change) -> dict[str, float]:
        return {"score": change.gain, "p_same": probability(self._evidence_worth * change.gain)}

    def _tell(self, **known: Any) -> None:
        assert self.session_id is not None
        nothing = dict.fromkeys(("identity_id", "other_identity_id", "camera_id", "local_id"))
        numbers = {name: known.pop(name, _NAN) for name in ("score", "margin", "p_same")}
        finite = {name: float(value) if np.isfinite(value) else _NAN for name, value in numbers.items()}
        event = IdentityEvent(sequence=self._sequence, session_id=self.session_id, **{**nothing, **known, **finite})
        self._sequence += 1
        self._events.append(event)


def reason_of_link(folded: Folded, row: int, column: int) -> str:
    """What spoke for a tracklet (row) being a person (column)."""
    parts = {"floor": folded.said_by_floor(), "looks": folded.looks, "way": folded.way}
    said = [name for name, nats in parts.items() if nats[row, column] > 0]
    return " and ".join(said) or "nobody else can have come here"


def reason_of_new(tracklet: Tracklet, choice: Choice) -> str:
    """Why a tracklet became a new person."""
    if choice.unclear:
        return f"unclear for too long: {choice.unclear}"
    return "no embedding" if tracklet.appearance is None else "nobody fits"
