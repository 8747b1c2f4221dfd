"""The gallery: the only writer of identities. Works in event time, so arrival order changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import CameraView, Tick, WatermarkBuffer, pack_state, unpack_state
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import US_PER_S, from_us
from retail_ray.core.types import Observations
from retail_ray.identity.association import (
    Choice,
    Geometry,
    decide,
    geometry,
    likeness,
    per_person,
    spans,
    total_score,
)
from retail_ray.identity.index import PrototypeIndex
from retail_ray.identity.settings import GalleryLive, GallerySettings
from retail_ray.identity.tracklets import Tracklet, sightings

_STATE_VERSION = 1
_PRESENT_US = 2 * US_PER_S
_FORGET_TICKS = 16
_NAN = float("nan")

Key = tuple[int, int]
"""(camera number, local id) of a tracklet."""
Kind = Literal["session", "create", "assign", "merge", "split"]


@dataclass(slots=True)
class _Person:
    """The tracklets linked to one identity, in the order of the links."""

    tracklets: list[Key] = field(default_factory=list)


class Gallery:
    """Links the tracklets of all cameras of a site to people, tick by tick.

    A person is linked when likeness and floor are clear, and new when nothing fits or a decision has waited too
    long; every tracklet ends up with an identity. Cameras are worked in the order of their names.
    """

    def __init__(self, settings: GallerySettings, site_id: str, run_id: str, cameras: Sequence[CameraView]) -> None:
        self._settings = settings
        self._site_id, self._run_id = site_id, run_id
        self._buffer = WatermarkBuffer(cameras, round(settings.tick_s * US_PER_S))
        self._index = PrototypeIndex(settings.faiss_threads)
        self._tracklets: dict[Key, Tracklet] = {}
        self._waiting: dict[Key, Tracklet] = {}
        self._people: dict[int, _Person] = {}
        self._next_person = 1
        self._sequence = 0
        self._session_id: str | None = None
        self._session_start_us: int | None = None
        self._resets_us: list[int] = []
        self._events: list[IdentityEvent] = []

    @property
    def watermark_us(self) -> int:
        return self._buffer.watermark_us

    @property
    def worked_until_us(self) -> int:
        return self._buffer.worked_until_us

    def submit(self, observations: Observations) -> None:
        """Keep a message until every camera has passed it; DataError if it breaks the contract."""
        self._buffer.submit(observations)

    def end_camera(self, camera_id: str) -> None:
        self._buffer.end(camera_id)

    def reset_session(self, time_us: int) -> str:
        """Begin a new identity session at the first tick boundary from `time_us` on that is not yet worked.

        Its event comes out of `advance`. People still seen keep their tracklets and are recognised anew. Asking
        twice for the same time, or for one before the present session began, changes nothing. Returns the id of the
        session that holds from then on.
        """
        boundary_us = self._buffer.ceil(time_us)
        if self._session_start_us is not None and boundary_us <= self._session_start_us:
            return self._named(self._session_start_us)
        boundary_us = max(boundary_us, self._buffer.worked_until_us)
        if boundary_us not in self._resets_us:
            self._resets_us = sorted([*self._resets_us, boundary_us])
        return self._named(boundary_us)

    def _named(self, start_us: int) -> str:
        return f"{self._site_id}-{from_us(start_us):%Y%m%dT%H%M%S.%f}Z"

    def advance(self, until_us: int) -> list[IdentityEvent]:
        """Work all ticks that end at or before min(until_us, watermark_us); events in the order of their sequence."""
        for tick in self._buffer.ticks(until_us, self._wake_us):
            self._work(tick)
        events, self._events = self._events, []
        return events

    def finish(self, until_us: int) -> list[IdentityEvent]:
        """The data ends at `until_us`: every camera has ended and every tracklet that waits is decided."""
        for camera_id in self._buffer.camera_ids:
            self._buffer.end(camera_id)
        self._events = self.advance(self._buffer.ceil(until_us))
        self._decide(self._buffer.worked_until_us, forced=True)
        events, self._events = self._events, []
        return events

    def live(self) -> GalleryLive:
        horizon_us = self._buffer.worked_until_us - _PRESENT_US
        present = {t.person for t in self._tracklets.values() if t.person is not None and t.last_us >= horizon_us}
        return GalleryLive(
            self._session_id,
            self._buffer.worked_until_us,
            len(self._people),
            len(present),
            len(self._waiting),
            self._buffer.counts,
        )

    def state(self) -> bytes:
        """As of `worked_until_us`: submitted messages after it are not in it and must be told again.

        Holds embeddings of this session: keep it where the gallery's snapshots live, never in the lake.
        """
        return pack_state(
            (
                _STATE_VERSION,
                (self._site_id, self._run_id),
                self._buffer.state(),
                self._index.snapshot(),
                list(self._tracklets.values()),
                [(number, person.tracklets) for number, person in self._people.items()],
                (self._next_person, self._sequence, self._session_id, self._session_start_us, self._resets_us),
            )
        )

    def restore(self, state: bytes) -> None:
        """Go on from `state()`; cameras that had ended must be ended again."""
        version, owner, buffer, index, tracklets, people, rest = unpack_state(state)
        if (version, owner) != (_STATE_VERSION, (self._site_id, self._run_id)):
            raise DataError(
                f"the saved gallery is of site '{owner[0]}', run '{owner[1]}', version {version}; this one is "
                f"'{self._site_id}', '{self._run_id}', {_STATE_VERSION}: local ids of another run mean other people"
            )
        self._buffer.restore(buffer)
        self._index.restore(index)
        self._tracklets = {tracklet.key: tracklet for tracklet in tracklets}
        self._waiting = {key: t for key, t in self._tracklets.items() if t.person is None}
        self._people = {number: _Person(keys) for number, keys in people}
        self._next_person, self._sequence, self._session_id, self._session_start_us, self._resets_us = rest
        self._events = []

    def _wake_us(self) -> int | None:
        wakes = [boundary_us + self._buffer.tick_us for boundary_us in self._resets_us[:1]]
        if self._waiting:
            wakes.append(self._buffer.worked_until_us + self._buffer.tick_us)
        return min(wakes, default=None)

    def _work(self, tick: Tick) -> None:
        while self._resets_us and self._resets_us[0] <= tick.start_us:
            self._begin_session(self._resets_us.pop(0), "reset")
        if self._session_id is None:
            self._begin_session(tick.start_us, "first data")
        self._observe(tick)
        self._decide(tick.end_us, forced=False)
        self._forget(tick.end_us)

    def _begin_session(self, time_us: int, reason: str) -> None:
        """Embeddings and people of the old session go; whoever was gone before it is decided in the old one."""
        if self._session_id is not None:
            self._decide(time_us, forced=True, only_gone=True)
        self._session_start_us = time_us
        self._session_id = self._named(time_us)
        self._tell("session", time_us, None, reason=reason)
        self._index.clear()
        self._people = {}
        self._tracklets = {key: t for key, t in self._tracklets.items() if not self._is_gone(t, time_us)}
        for tracklet in self._tracklets.values():
            tracklet.forget_looks(time_us)
        self._waiting = dict(self._tracklets)

    def _observe(self, tick: Tick) -> None:
        number = tick.start_us // self._buffer.tick_us
        touched = []
        for camera, local_id, first_us, last_us, place in sightings(tick):
            tracklet = self._tracklets.get((camera, local_id))
            if tracklet is None:
                tracklet = Tracklet(camera, local_id, first_us, last_us, first_us)
                self._tracklets[camera, local_id] = self._waiting[camera, local_id] = tracklet
            tracklet.see(number, last_us, place)
            touched.append(tracklet)
        for row, embedding, quality in zip(
            tick.embedding_row.tolist(), tick.embedding, tick.embedding_quality.tolist(), strict=True
        ):
            self._describe(self._tracklets[int(tick.camera[row]), int(tick.local_id[row])], embedding, quality)
        for tracklet in touched:
            self._part_if_concurrent(tracklet, tick.end_us)

    def _describe(self, tracklet: Tracklet, embedding: NDArray[np.float32], quality: float) -> None:
        kept = tracklet.describe(embedding, quality, self._settings)
        if kept is not None and tracklet.person is not None:
            self._keep(tracklet, [kept])

    def _keep(self, tracklet: Tracklet, vectors: Sequence[NDArray[np.float32]]) -> None:
        """Put what is new about the looks of a linked tracklet into the index, as much as its person may have."""
        assert tracklet.person is not None
        known = list(self._index.vectors_of(tracklet.person))
        new: list[NDArray[np.float32]] = []
        for vector in vectors:
            have = known + new
            alike = bool(have) and float(np.max(np.stack(have) @ vector)) >= self._settings.prototype_similarity
            if not alike and len(have) < self._settings.person_prototypes:
                new.append(vector)
        if new:
            tracklet.prototype_ids += self._index.add(tracklet.person, np.stack(new))

    def _part_if_concurrent(self, tracklet: Tracklet, now_us: int) -> None:
        """A track that comes back while another of its camera has its identity: they are two people after all."""
        if tracklet.person is None:
            return
        for key in self._people[tracklet.person].tracklets:
            other = self._tracklets[key]
            if other is not tracklet and other.camera == tracklet.camera and other.overlaps(tracklet):
                self._split(max(tracklet, other, key=lambda t: (t.first_us, t.local_id)), now_us)
                return

    def _split(self, tracklet: Tracklet, now_us: int) -> None:
        former = tracklet.person
        assert former is not None
        self._people[former].tracklets.remove(tracklet.key)
        tracklet.person = self._new_person()
        self._people[tracklet.person].tracklets.append(tracklet.key)
        self._index.move(tracklet.prototype_ids, tracklet.person)
        self._tell("split", now_us - 1, tracklet, reason="concurrent in one camera", other=former)

    def _decide(self, now_us: int, *, forced: bool, only_gone: bool = False) -> None:
        ready = [t for t in self._waiting.values() if self._is_ready(t, now_us) or forced]
        if only_gone:
            ready = [t for t in ready if self._is_gone(t, now_us)]
        if not ready:
            return
        for tracklet in ready:
            tracklet.ready_since_us = now_us if tracklet.ready_since_us is None else tracklet.ready_since_us
        everyone = list(self._tracklets.values())
        snapshot = spans(everyone)
        person_of = np.array([-1 if t.person is None else t.person for t in everyone], np.int64)
        row_of = {t.key: row for row, t in enumerate(everyone)}
        for camera in sorted({t.camera for t in ready}):
            ours = sorted((t for t in ready if t.camera == camera), key=lambda t: t.local_id)
            rows = np.array([row_of[t.key] for t in ours], np.intp)
            linked = np.flatnonzero(person_of >= 0)
            judged = geometry(snapshot[rows], snapshot[linked], self._settings)
            self._decide_camera(ours, per_person(judged, person_of[linked]), now_us, forced=forced)
            person_of[rows] = [-1 if t.person is None else t.person for t in ours]

    def _decide_camera(
        self, ours: list[Tracklet], against: tuple[NDArray[np.int64], Geometry], now_us: int, *, forced: bool
    ) -> None:
        people, judged = against
        score = total_score(self._likeness(ours, people), judged, self._settings)
        limit_us = self._settings.defer_limit_s * US_PER_S
        tired = np.array([forced or now_us - (t.ready_since_us or now_us) >= limit_us for t in ours])
        for row, (tracklet, choice) in enumerate(zip(ours, decide(score, tired, self._settings), strict=True)):
            if choice.kind == "create":
                self._link(tracklet, self._new_person(), choice, _reason_new(tracklet, choice), now_us)
            elif choice.person is not None:
                reason = _reason(judged, row, choice.person)
                self._link(tracklet, int(people[choice.person]), choice, reason, now_us)

    def _likeness(self, ours: list[Tracklet], people: NDArray[np.int64]) -> NDArray[np.float64]:
        cosine = np.full((len(ours), len(people)), np.nan)
        means = {row: mean for row, t in enumerate(ours) if (mean := t.mean()) is not None}
        if means and len(self._index):
            found = self._index.search(np.stack(list(means.values())), self._settings.search_neighbours)
            cosine[list(means)] = likeness(found, people, np.isin(people, self._index.owners))
        return cosine

    def _link(self, tracklet: Tracklet, person: int, choice: Choice, reason: str, now_us: int) -> None:
        del self._waiting[tracklet.key]
        tracklet.person = person
        self._people[person].tracklets.append(tracklet.key)
        mean = tracklet.mean()
        if mean is not None:
            self._keep(tracklet, [mean, *tracklet.prototypes])
        kind: Kind = "assign" if choice.kind == "assign" else "create"
        self._tell(kind, now_us - 1, tracklet, reason=reason, choice=choice)

    def _new_person(self) -> int:
        number = self._next_person
        self._next_person += 1
        self._people[number] = _Person()
        return number

    def _tell(
        self,
        kind: Kind,
        time_us: int,
        tracklet: Tracklet | None,
        *,
        reason: str,
        choice: Choice | None = None,
        other: int | None = None,
    ) -> None:
        assert self._session_id is not None
        event = IdentityEvent(
            time_us=time_us,
            sequence=self._sequence,
            kind=kind,
            session_id=self._session_id,
            identity_id=None if tracklet is None else tracklet.person,
            other_identity_id=other,
            camera_id=None if tracklet is None else self._buffer.camera_ids[tracklet.camera],
            local_id=None if tracklet is None else tracklet.local_id,
            score=_NAN if choice is None else float(np.minimum(choice.score, 1.0)),
            margin=_NAN if choice is None else choice.margin,
            reason=reason,
        )
        self._sequence += 1
        self._events.append(event)

    def _is_gone(self, tracklet: Tracklet, now_us: int) -> bool:
        return now_us - tracklet.last_us >= self._settings.gone_s * US_PER_S

    def _is_ready(self, tracklet: Tracklet, now_us: int) -> bool:
        wait_s = self._settings.embedding_wait_s if tracklet.appearance is None else self._settings.settle_s
        return now_us - tracklet.waiting_since_us >= wait_s * US_PER_S or self._is_gone(tracklet, now_us)

    def _forget(self, now_us: int) -> None:
        """Of people's tracklets that ended long ago keep only the latest, and only its last place."""
        if now_us // self._buffer.tick_us % _FORGET_TICKS:
            return
        horizon_us = now_us - round(self._settings.memory_s * US_PER_S)
        for person in self._people.values():
            known = [self._tracklets[key] for key in person.tracklets]
            old = [t for t in known if t.last_us < horizon_us]
            if not old:
                continue
            latest = max(known, key=lambda t: (t.last_us, t.key))
            for tracklet in old:
                tracklet.fade()
                if tracklet is not latest:
                    del self._tracklets[tracklet.key]
                    person.tracklets.remove(tracklet.key)


def _reason(judged: Geometry, row: int, column: int) -> str:
    if judged.bonus[row, column] == 0:
        return "appearance"
    return "appearance and floor" if judged.together[row, column] else "appearance and stitch"


def _reason_new(tracklet: Tracklet, choice: Choice) -> str:
    if choice.unclear:
        return f"unclear for too long: {choice.unclear}"
    return "no embedding" if tracklet.appearance is None else "nobody fits"
