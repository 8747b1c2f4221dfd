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
from retail_ray.identity.association import Choice, Evidence, Folded, decide, fold
from retail_ray.identity.entrances import Entrance, birth_cost
from retail_ray.identity.evidence import Floats, probability
from retail_ray.identity.index import PrototypeIndex
from retail_ray.identity.looks import LooksModel, likeness
from retail_ray.identity.pairs import PairTable, Rows
from retail_ray.identity.past import Remembered, recognised
from retail_ray.identity.revision import Change, revise
from retail_ray.identity.settings import GalleryLive, GallerySettings
from retail_ray.identity.tracklets import Tracklet, sightings

_STATE_VERSION = 2
_PRESENT_US = 2 * US_PER_S
_FORGET_TICKS = 16
_LEAST_AREA_M2 = 30.0
_CERTAIN_NATS, _CERTAIN_TICKS = 5.0, 5
_NAN = float("nan")

Key = tuple[int, int]
"""(camera number, local id) of a tracklet."""
Kind = Literal["session", "create", "assign", "merge", "split"]


@dataclass(slots=True)
class _Person:
    """The tracklets in memory that are linked to one identity, in the order of the links."""

    tracklets: list[Key] = field(default_factory=list)


class Gallery:
    """Links the tracklets of all cameras of a site to people, tick by tick.

    A person is linked when the evidence is clear, and new when nothing fits or a decision has waited too long; every
    tracklet ends up with an identity. Every few seconds links are revised. Cameras are worked in the order of their
    names.
    """

    def __init__(
        self,
        settings: GallerySettings,
        site_id: str,
        run_id: str,
        cameras: Sequence[CameraView],
        entrances: Sequence[Entrance] = (),
    ) -> None:
        self._settings = settings
        self._site_id, self._run_id = site_id, run_id
        self._entrances = tuple(entrances)
        self._buffer = WatermarkBuffer(cameras, round(settings.tick_s * US_PER_S))
        self._index = PrototypeIndex(settings.faiss_threads)
        self._looks = LooksModel.shipped(settings)
        self._session_id: str | None = None
        self._session_start_us: int | None = None
        self._resets_us: list[int] = []
        self._next_person = 1
        self._sequence = 0
        self._events: list[IdentityEvent] = []
        self._floor_cells: set[tuple[int, int]] = set()
        self._forget_everybody()

    def _forget_everybody(self) -> None:
        self._pairs = PairTable(self._settings)
        self._rows: dict[Key, int] = {}
        self._tracklets: dict[Key, Tracklet] = {}
        self._waiting: dict[Key, Tracklet] = {}
        self._people: dict[int, _Person] = {}
        self._past: dict[int, Remembered] = {}
        self._learnt: set[Key] = set()
        self._revised_us: int | None = None
        self._calibrated_us: int | None = None

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
        self._close(self._buffer.worked_until_us)
        events, self._events = self._events, []
        return events

    def live(self) -> GalleryLive:
        horizon_us = self._buffer.worked_until_us - _PRESENT_US
        present = {t.person for t in self._tracklets.values() if t.person is not None and t.last_us >= horizon_us}
        return GalleryLive(
            self._session_id,
            self._buffer.worked_until_us,
            len(self._people.keys() | self._past.keys()),
            len(present),
            len(self._waiting),
            self._buffer.counts,
            self._looks.version,
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
                self._pairs.state(),
                list(self._rows),
                list(self._tracklets.values()),
                [(number, person.tracklets) for number, person in self._people.items()],
                list(self._past.items()),
                (self._looks.same, self._looks.different, self._looks.version),
                (sorted(self._learnt), sorted(self._floor_cells), self._revised_us, self._calibrated_us),
                (self._next_person, self._sequence, self._session_id, self._session_start_us, self._resets_us),
            )
        )

    def restore(self, state: bytes) -> None:
        """Go on from `state()`; cameras that had ended must be ended again."""
        version, owner, *parts = unpack_state(state)
        if (version, owner) != (_STATE_VERSION, (self._site_id, self._run_id)):
            raise DataError(
                f"the saved gallery is of site '{owner[0]}', run '{owner[1]}', version {version}; this one is "
                f"'{self._site_id}', '{self._run_id}', {_STATE_VERSION}: local ids of another run mean other people"
            )
        buffer, index, pairs, rows, tracklets, people, past, looks, rhythm, rest = parts
        self._buffer.restore(buffer)
        self._index.restore(index)
        self._pairs.restore(pairs)
        self._rows = {key: row for row, key in enumerate(rows)}
        self._tracklets = {tracklet.key: tracklet for tracklet in tracklets}
        self._waiting = {key: t for key, t in self._tracklets.items() if t.person is None}
        self._people = {number: _Person(keys) for number, keys in people}
        self._past = dict(past)
        self._looks = LooksModel(self._settings, *looks)
        learnt, cells, self._revised_us, self._calibrated_us = rhythm
        self._learnt, self._floor_cells = set(learnt), set(cells)
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
        self._calibrate(tick.end_us)
        if self._revised_us is None:
            self._revised_us = tick.end_us
        if tick.end_us - self._revised_us >= self._settings.revise_s * US_PER_S:
            self._revised_us = tick.end_us
            self._revise(tick.end_us)
        self._forget(tick.end_us)

    def _begin_session(self, time_us: int, reason: str) -> None:
        """Embeddings and people of the old session go; whoever was gone before it is decided in the old one."""
        if self._session_id is not None:
            self._close(time_us, only_gone=True)
        self._session_start_us = time_us
        self._session_id = self._named(time_us)
        self._tell("session", time_us, None, reason=reason)
        self._index.clear()
        present = [(t, self._rows[t.key]) for t in self._tracklets.values() if not self._is_gone(t, time_us)]
        pairs = self._pairs
        self._forget_everybody()
        pairs.keep(np.array([row for _, row in present], np.intp))
        self._pairs = pairs
        self._rows = {tracklet.key: row for row, (tracklet, _) in enumerate(present)}
        for tracklet, _ in present:
            tracklet.forget_looks(time_us)
            self._tracklets[tracklet.key] = self._waiting[tracklet.key] = tracklet

    def _close(self, now_us: int, *, only_gone: bool = False) -> None:
        """The session ends: decide who waits, then look at everything once more."""
        self._decide(now_us, forced=True, only_gone=only_gone)
        self._calibrate(now_us, forced=True)
        self._revise(now_us)

    def _observe(self, tick: Tick) -> None:
        rows, until_us, places = [], [], []
        for camera, local_id, first_us, last_us, place in sightings(tick):
            tracklet = self._tracklets.get((camera, local_id))
            if tracklet is None:
                tracklet = Tracklet(camera, local_id, first_us, last_us, first_us)
                self._tracklets[tracklet.key] = self._waiting[tracklet.key] = tracklet
                self._rows[tracklet.key] = self._pairs.add(camera, first_us)
            tracklet.last_us = last_us
            rows.append(self._rows[tracklet.key])
            until_us.append(last_us)
            places.append(place)
        if rows:
            seen = np.array(places, np.float64)
            self._pairs.see(np.array(rows, np.intp), np.array(until_us, np.int64), seen)
            walked = seen[np.isfinite(seen[:, 1]), 1:3]
            self._floor_cells.update(map(tuple, np.floor(walked).astype(np.int64).tolist()))
        for row, embedding, quality in zip(
            tick.embedding_row.tolist(), tick.embedding, tick.embedding_quality.tolist(), strict=True
        ):
            self._describe(self._tracklets[int(tick.camera[row]), int(tick.local_id[row])], embedding, quality)

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

    def _decide(self, now_us: int, *, forced: bool, only_gone: bool = False) -> None:
        ready = [t for t in self._waiting.values() if self._is_ready(t, now_us) or forced]
        if only_gone:
            ready = [t for t in ready if self._is_gone(t, now_us)]
        if not ready:
            return
        for tracklet in ready:
            tracklet.ready_since_us = now_us if tracklet.ready_since_us is None else tracklet.ready_since_us
        person_of = self._person_of()
        for camera in sorted({t.camera for t in ready}):
            ours = sorted((t for t in ready if t.camera == camera), key=lambda t: t.local_id)
            rows = np.array([self._rows[t.key] for t in ours], np.intp)
            people, folded = fold(self._evidence(rows), person_of)
            self._decide_camera(ours, rows, people, folded, now_us, forced=forced)
            person_of[rows] = [-1 if t.person is None else t.person for t in ours]

    def _decide_camera(
        self, ours: list[Tracklet], rows: Rows, people: NDArray[np.int64], folded: Folded, now_us: int, *, forced: bool
    ) -> None:
        past_people, past_score = recognised(
            ours,
            self._pairs.first[rows],
            self._past,
            self._index,
            looks=self._looks,
            area_m2=self._area_m2(),
            settings=self._settings,
        )
        score = np.where(folded.spoken(), folded.score(), -np.inf)
        here = np.searchsorted(people, past_people)
        gone = (
            ~((here < len(people)) & (people[np.minimum(here, max(len(people) - 1, 0))] == past_people))
            if len(people)
            else np.ones(len(past_people), np.bool_)
        )
        everybody = np.concatenate([people, past_people[gone]])
        score = np.concatenate([score, past_score[:, gone] + folded.birth[0][:, None]], axis=1)
        limit_us = self._settings.defer_limit_s * US_PER_S
        tired = np.array([forced or now_us - (t.ready_since_us or now_us) >= limit_us for t in ours])
        for row, (tracklet, choice) in enumerate(zip(ours, decide(score, tired, self._settings), strict=True)):
            if choice.kind == "create":
                self._link(tracklet, self._new_person(), choice, _reason_new(tracklet, choice), now_us)
            elif choice.kind == "assign" and choice.person is not None:
                known = choice.person < len(people)
                reason = _reason(folded, row, choice.person) if known else "looks, out of memory"
                unclear = ", unclear" if choice.unclear else ""
                self._link(tracklet, int(everybody[choice.person]), choice, self._versioned(reason) + unclear, now_us)

    def _versioned(self, reason: str) -> str:
        """The likeness that a link rests on is measured on the site; the reason says which measurement."""
        return f"{reason} (calibration {self._looks.version})" if "looks" in reason else reason

    def _evidence(self, rows: Rows) -> Evidence:
        """Of these rows against all in memory."""
        pairs, settings = self._pairs, self._settings
        gap_s, way, fast = pairs.turns(rows, self._area_m2())
        veto = fast
        itself = rows[:, None] == np.arange(len(pairs))[None]
        looks = np.full(veto.shape, np.nan)
        if settings.use_looks:
            looks = self._looks.evidence(self._likeness()[rows])
        birth = birth_cost(self._entrances, pairs.first, self._session_start_us or 0, pairs.first_us, settings)
        floor = pairs.floor_evidence(rows)
        return Evidence(
            veto & ~itself,
            np.where(itself, 0.0, floor),
            np.where(itself, np.nan, looks),
            np.where(itself, np.inf, gap_s),
            np.where(itself | (not settings.use_transit), 0.0, way),
            (pairs.first_us[rows], pairs.first_us),
            (birth[rows], birth),
        )

    def _likeness(self) -> Floats:
        means = [self._tracklets[key].mean() for key in self._rows]
        dimension = next((len(mean) for mean in means if mean is not None), 1)
        filled = np.zeros((len(means), dimension), np.float32)
        for row, mean in enumerate(means):
            if mean is not None:
                filled[row] = mean
        return likeness(filled, self._pairs.camera, self._settings)

    def _calibrate(self, now_us: int, *, forced: bool = False) -> None:
        """Measure likeness on pairs that are certain without it, each pair once."""
        if self._calibrated_us is None:
            self._calibrated_us = now_us
        due = now_us - self._calibrated_us >= self._settings.calibrate_s * US_PER_S
        if not (due or forced) or not len(self._pairs) or not self._settings.use_looks:
            return
        self._calibrated_us = now_us
        rows = np.arange(len(self._pairs))
        keys = list(self._rows)
        new = np.array([key not in self._learnt for key in keys])
        fresh = np.triu(new[:, None] | new[None], 1)
        gap_s, _, _ = self._pairs.turns(rows, self._area_m2())
        same_camera = self._pairs.camera[:, None] == self._pairs.camera[None]
        together = self._pairs.floor_evidence(rows)
        one = ~same_camera & (together >= _CERTAIN_NATS) & (self._pairs.ticks >= _CERTAIN_TICKS)
        self._looks.learn(self._likeness(), fresh & one, fresh & same_camera & (gap_s <= 0))
        self._learnt |= {key for key in keys if self._tracklets[key].appearance is not None}

    def _revise(self, now_us: int) -> None:
        if not self._settings.use_revision or not len(self._pairs):
            return
        evidence = self._evidence(np.arange(len(self._pairs)))
        keys = list(self._rows)
        for change in revise(evidence, self._person_of(), self._next_person, self._settings):
            if change.kind == "merge":
                self._merge(change, now_us)
            else:
                self._move(self._tracklets[keys[change.row]], change, now_us)

    def _merge(self, change: Change, now_us: int) -> None:
        into, other = self._people[change.person], self._people.pop(change.other)
        for key in other.tracklets:
            self._tracklets[key].person = change.person
            self._index.move(self._tracklets[key].prototype_ids, change.person)
        into.tracklets += other.tracklets
        if change.other in self._past:
            remembered = self._past.pop(change.other)
            if change.person in self._past:
                self._past[change.person].join(remembered)
            else:
                self._past[change.person] = remembered
            self._index.move(self._index.ids_of(change.other), change.person)
        self._tell(
            "merge",
            now_us - 1,
            None,
            reason="revision",
            nats=change.gain,
            p_same=probability(change.gain),
            person=change.person,
            other=change.other,
        )

    def _move(self, tracklet: Tracklet, change: Change, now_us: int) -> None:
        if change.person not in self._people:
            self._new_person()
        self._people[change.other].tracklets.remove(tracklet.key)
        self._people[change.person].tracklets.append(tracklet.key)
        tracklet.person = change.person
        self._index.move(tracklet.prototype_ids, change.person)
        self._tell(
            "split",
            now_us - 1,
            tracklet,
            reason="revision",
            nats=change.gain,
            p_same=probability(change.gain),
            other=change.other,
        )

    def _link(self, tracklet: Tracklet, person: int, choice: Choice, reason: str, now_us: int) -> None:
        del self._waiting[tracklet.key]
        tracklet.person = person
        self._people.setdefault(person, _Person()).tracklets.append(tracklet.key)
        mean = tracklet.mean()
        if mean is not None:
            self._keep(tracklet, [mean, *tracklet.prototypes])
        kind: Kind = "assign" if choice.kind == "assign" else "create"
        self._tell(
            kind,
            now_us - 1,
            tracklet,
            reason=reason,
            nats=choice.score,
            margin=choice.margin,
            p_same=choice.p_same,
        )

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
        nats: float = _NAN,
        margin: float = _NAN,
        p_same: float = _NAN,
        person: int | None = None,
        other: int | None = None,
    ) -> None:
        assert self._session_id is not None
        event = IdentityEvent(
            time_us=time_us,
            sequence=self._sequence,
            kind=kind,
            session_id=self._session_id,
            identity_id=person if tracklet is None else tracklet.person,
            other_identity_id=other,
            camera_id=None if tracklet is None else self._buffer.camera_ids[tracklet.camera],
            local_id=None if tracklet is None else tracklet.local_id,
            score=float(nats) if np.isfinite(nats) else _NAN,
            margin=float(margin) if np.isfinite(margin) else _NAN,
            p_same=p_same,
            reason=reason,
        )
        self._sequence += 1
        self._events.append(event)

    def _person_of(self) -> NDArray[np.int64]:
        """(N,) person of each row, -1 where it waits."""
        people = (self._tracklets[key].person for key in self._rows)
        return np.array([-1 if person is None else person for person in people], np.int64)

    def _area_m2(self) -> float:
        """Floor on which anybody was seen."""
        return max(_LEAST_AREA_M2, float(len(self._floor_cells)))

    def _is_gone(self, tracklet: Tracklet, now_us: int) -> bool:
        return now_us - tracklet.last_us >= self._settings.gone_s * US_PER_S

    def _is_ready(self, tracklet: Tracklet, now_us: int) -> bool:
        wait_s = self._settings.embedding_wait_s if tracklet.appearance is None else self._settings.settle_s
        return now_us - tracklet.waiting_since_us >= wait_s * US_PER_S or self._is_gone(tracklet, now_us)

    def _forget(self, now_us: int) -> None:
        """Tracklets that ended long ago leave memory; their people stay known by looks and last place."""
        if now_us // self._buffer.tick_us % _FORGET_TICKS:
            return
        horizon_us = now_us - round(self._settings.memory_s * US_PER_S)
        old = [t for t in self._tracklets.values() if t.last_us < horizon_us and t.person is not None]
        if not old:
            return
        for tracklet in old:
            assert tracklet.person is not None
            last = tuple(self._pairs.last[self._rows[tracklet.key]].tolist())
            known = self._past.setdefault(tracklet.person, Remembered(tracklet.last_us, last))
            known.add(tracklet.first_us, tracklet.last_us, last)
            person = self._people[tracklet.person]
            person.tracklets.remove(tracklet.key)
            if not person.tracklets:
                del self._people[tracklet.person]
            del self._tracklets[tracklet.key]
            self._learnt.discard(tracklet.key)
        kept = [key for key in self._rows if key in self._tracklets]
        self._pairs.keep(np.array([self._rows[key] for key in kept], np.intp))
        self._rows = {key: row for row, key in enumerate(kept)}


def _reason(folded: Folded, row: int, column: int) -> str:
    parts = []
    if folded.floor[row, column] > 0:
        parts.append("floor")
    if folded.looks[row, column] > 0:
        parts.append("looks")
    if folded.way[row, column] > 0:
        parts.append("way")
    return " and ".join(parts) or "nobody else can have come here"


def _reason_new(tracklet: Tracklet, choice: Choice) -> str:
    if choice.unclear:
        return f"unclear for too long: {choice.unclear}"
    return "no embedding" if tracklet.appearance is None else "nobody fits"
