"""The gallery: the only writer of identities. Works in event time, so arrival order changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError
from retail_ray.core.event_time import CameraView, WatermarkBuffer, pack_state, unpack_state
from retail_ray.core.records import IdentityEvent
from retail_ray.core.retail_records import Alert
from retail_ray.core.ticks import Tick
from retail_ray.core.time import US_PER_S, from_us
from retail_ray.core.types import Observations
from retail_ray.identity.association import Choice, Folded, decide, fold, shares
from retail_ray.identity.contradiction_alerts import alert, of_camera
from retail_ray.identity.decisions import Decisions, reason_of_link, reason_of_new
from retail_ray.identity.entrances import Entrance
from retail_ray.identity.index import PrototypeIndex
from retail_ray.identity.memory import Memory
from retail_ray.identity.past import Presence, Recogniser
from retail_ray.identity.revision import Change, revise
from retail_ray.identity.settings import GalleryLive, GallerySettings
from retail_ray.identity.tracklets import Key, Tracklet

_STATE_VERSION = 7
_PRESENT_US = 2 * US_PER_S
_FORGET_TICKS = 16

SessionEnd = Callable[[str, NDArray[np.int64], NDArray[np.float32]], None]
"""Is told a session's id, and (P,) whose and (P, D) which prototypes it has, before they expire."""


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
        *,
        on_session_end: SessionEnd | None = None,
    ) -> None:
        self._settings, self._on_session_end = settings, on_session_end
        self._site_id, self._run_id = site_id, run_id
        self._buffer = WatermarkBuffer(cameras, round(settings.tick_s * US_PER_S))
        self._index = PrototypeIndex(settings.faiss_threads)
        self._memory = Memory(settings, entrances, len(self._buffer.camera_ids))
        self._decisions = Decisions(self._buffer.camera_ids, settings.evidence_worth)
        self._alerts: list[Alert] = []
        self._resets_us: list[int] = []
        self._next_person = 1
        self._waiting: dict[Key, Tracklet] = {}
        self._people: dict[int, list[Key]] = {}
        self._past: dict[int, Presence] = {}
        self._revised_us: int | None = None
        self._measured_us: int | None = None

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
        session_id = self._decisions.session_id
        if session_id is not None and boundary_us <= self._memory.opened_us:
            return session_id
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
        return self._decisions.take()

    def finish(self, until_us: int) -> list[IdentityEvent]:
        """The data ends at `until_us`: every camera has ended and every tracklet that waits is decided."""
        for camera_id in self._buffer.camera_ids:
            self._buffer.end(camera_id)
        events = self.advance(self._buffer.ceil(until_us))
        if self._decisions.session_id is not None:
            self._close(self._buffer.worked_until_us)
        return events + self._decisions.take()

    def take_alerts(self) -> list[Alert]:
        """Of cameras that contradict the others, since the last call, in the order of their times."""
        alerts, self._alerts = self._alerts, []
        return alerts

    def live(self) -> GalleryLive:
        horizon_us = self._buffer.worked_until_us - _PRESENT_US
        present = {
            t.person for t in self._memory.tracklets.values() if t.person is not None and t.last_us >= horizon_us
        }
        return GalleryLive(
            self._decisions.session_id,
            self._buffer.worked_until_us,
            len(self._people.keys() | self._past.keys()),
            len(present),
            len(self._waiting),
            self._buffer.counts,
            self._memory.looks.version,
            tuple(of_camera(one, self._buffer.camera_ids) for one in self._memory.agreements()),
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
                self._memory.state(),
                list(self._people.items()),
                [(person, (known.spans_us, known.first, known.last)) for person, known in self._past.items()],
                self._decisions.state(),
                (self._next_person, self._resets_us, self._revised_us, self._measured_us),
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
        buffer, index, memory, people, past, decisions, rest = parts
        self._buffer.restore(buffer)
        self._index.restore(index)
        self._memory.restore(memory)
        self._decisions.restore(decisions)
        self._alerts = []
        self._waiting = {key: t for key, t in self._memory.tracklets.items() if t.person is None}
        self._people = dict(people)
        self._past = {person: Presence(*known) for person, known in past}
        self._next_person, self._resets_us, self._revised_us, self._measured_us = rest

    def _wake_us(self) -> int | None:
        wakes = [boundary_us + self._buffer.tick_us for boundary_us in self._resets_us[:1]]
        if self._waiting:
            wakes.append(self._buffer.worked_until_us + self._buffer.tick_us)
        return min(wakes, default=None)

    def _work(self, tick: Tick) -> None:
        while self._resets_us and self._resets_us[0] <= tick.start_us:
            self._begin_session(self._resets_us.pop(0), "reset")
        if self._decisions.session_id is None:
            self._begin_session(tick.start_us, "first data")
        self._observe(tick)
        now_us = tick.end_us
        self._decide(now_us, forced=False)
        self._measured_us = self._measured_us or now_us
        if now_us - self._measured_us >= self._settings.calibrate_s * US_PER_S:
            self._measured_us = now_us
            self._memory.measure_looks()
        self._revised_us = self._revised_us or now_us
        if now_us - self._revised_us >= self._settings.revise_s * US_PER_S:
            self._revised_us = now_us
            self._revise(now_us)
        self._forget(now_us)

    def _begin_session(self, time_us: int, reason: str) -> None:
        """Embeddings and people of the old session go; whoever was gone before it is decided in the old one."""
        if self._decisions.session_id is not None:
            self._close(time_us, only_gone=True)
        self._decisions.begin(self._named(time_us), time_us, reason)
        self._index.clear()
        self._memory.keep({t.key for t in self._memory.tracklets.values() if not self._is_gone(t, time_us)})
        self._memory.forget_looks(time_us)
        self._waiting = dict(self._memory.tracklets)
        self._people, self._past = {}, {}
        self._revised_us = self._measured_us = None

    def _close(self, now_us: int, *, only_gone: bool = False) -> None:
        """The session ends: decide who waits, then look at everything and everybody once more."""
        self._decide(now_us, forced=True, only_gone=only_gone)
        self._memory.measure_looks()
        self._revise(now_us)
        while joins := self._recogniser().reunite(self._everybody(), self._past):
            for change in joins:
                self._merge(change, now_us, "looks, end of session")
        people = sorted(self._index.people)
        prototypes = [self._index.vectors_of(person) for person in people]
        owners = np.repeat(np.array(people, np.int64), [len(vectors) for vectors in prototypes])
        assert self._decisions.session_id is not None
        if prototypes and self._on_session_end is not None:
            self._on_session_end(self._decisions.session_id, owners, np.concatenate(prototypes))

    def _observe(self, tick: Tick) -> None:
        self._waiting |= {tracklet.key: tracklet for tracklet in self._memory.observe(tick)}
        for row, embedding, quality in zip(
            tick.embedding_row.tolist(), tick.embedding, tick.embedding_quality.tolist(), strict=True
        ):
            tracklet = self._memory.tracklets[int(tick.camera[row]), int(tick.local_id[row])]
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
        ready.sort(key=lambda t: t.key)
        rows = self._memory.rows(ready)
        evidence, person_of = self._memory.evidence(rows), self._memory.person_of()
        cameras = np.array([t.camera for t in ready])
        for camera in np.unique(cameras).tolist():
            at = np.flatnonzero(cameras == camera)
            ours = [ready[i] for i in at.tolist()]
            people, folded = fold(mine := evidence.of_rows(at), person_of)
            self._decide_camera(ours, people, folded, now_us, forced=forced)
            decided = np.flatnonzero([t.person is not None for t in ours])
            share = shares(folded, decided)
            self._memory.learn_ways(rows[at][decided], mine.of_rows(decided), share, people, person_of)
            person_of[rows[at]] = [-1 if t.person is None else t.person for t in ours]

    def _decide_camera(
        self, ours: list[Tracklet], people: NDArray[np.int64], folded: Folded, now_us: int, *, forced: bool
    ) -> None:
        rows = self._memory.rows(ours)
        first, enters = self._memory.first_places(rows), self._memory.enters(rows)
        absent = {person: known for person, known in self._past.items() if person not in self._people}
        others, likeness = self._recogniser().recognise(ours, first, absent)
        here = np.where(folded.spoken(), folded.score(), -np.inf)
        score = np.concatenate([here, likeness + folded.birth[0][:, None]], axis=1)
        everybody = np.concatenate([people, others]).tolist()
        limit_us = self._settings.defer_limit_s * US_PER_S
        tired = np.array([forced or now_us - (t.ready_since_us or now_us) >= limit_us for t in ours])
        choices = decide(score, self._memory.newcomers.nats(enters), tired, self._settings)
        decided = np.array([choice.kind != "wait" for choice in choices])
        self._memory.newcomers.learn(score[enters & decided])
        for row, (tracklet, choice) in enumerate(zip(ours, choices, strict=True)):
            if choice.kind == "create":
                self._link(tracklet, self._new_person(), choice, reason_of_new(tracklet, choice), now_us)
            elif choice.kind == "assign" and choice.person is not None:
                known = choice.person < len(people)
                said = reason_of_link(folded, row, choice.person) if known else "looks, out of memory"
                # The likeness that a link rests on is measured on the site: the reason says by which measurement.
                measured = f" (calibration {self._memory.looks.version})" if "looks" in said else ""
                version = self._memory.transit.version if "way" in said else 0
                learnt = f" (ways {version})" if version else ""
                reason = said + measured + learnt + (", unclear" if choice.unclear else "")
                self._link(tracklet, everybody[choice.person], choice, reason, now_us)

    def _recogniser(self) -> Recogniser:
        return Recogniser(self._index, self._memory.looks, self._memory.area_m2(), self._settings)

    def _everybody(self) -> dict[int, Presence]:
        """All people of the session, with what is still in memory."""
        known = dict(self._past)
        for person, keys in self._people.items():
            for key in keys:
                here = self._presence(self._memory.tracklets[key])
                known[person] = known[person] + here if person in known else here
        return known

    def _presence(self, tracklet: Tracklet) -> Presence:
        return Presence(((tracklet.first_us, tracklet.last_us),), *self._memory.ends(tracklet))

    def _revise(self, now_us: int) -> None:
        for one in self._memory.judge_cameras():
            self._alerts.append(alert(one, self._buffer.camera_ids, self._settings.doubt_share, now_us - 1))
        everybody = self._memory.in_rows()
        if not everybody:
            return
        evidence = self._memory.evidence(np.arange(len(everybody)))
        for change in revise(evidence, self._memory.person_of(), self._next_person, self._settings):
            if change.kind == "merge":
                self._merge(change, now_us, "revision")
            else:
                self._move(everybody[change.row], change, now_us)

    def _merge(self, change: Change, now_us: int, reason: str) -> None:
        keys = self._people.pop(change.other, [])
        for key in keys:
            self._memory.tracklets[key].person = change.person
        if keys:
            self._people.setdefault(change.person, []).extend(keys)
        if (known := self._past.pop(change.other, None)) is not None:
            before = self._past.get(change.person)
            self._past[change.person] = known if before is None else before + known
        self._index.move(self._index.ids_of(change.other), change.person)
        self._decisions.merge(now_us - 1, change, reason)

    def _move(self, tracklet: Tracklet, change: Change, now_us: int) -> None:
        if change.person not in self._people:
            self._new_person()
        former = self._people[change.other]
        former.remove(tracklet.key)
        if not former:
            del self._people[change.other]
        self._people[change.person].append(tracklet.key)
        tracklet.person = change.person
        self._index.move(tracklet.prototype_ids, change.person)
        self._decisions.split(now_us - 1, tracklet, change, "revision")

    def _link(self, tracklet: Tracklet, person: int, choice: Choice, reason: str, now_us: int) -> None:
        del self._waiting[tracklet.key]
        tracklet.person = person
        self._people.setdefault(person, []).append(tracklet.key)
        mean = tracklet.mean()
        if mean is not None:
            self._keep(tracklet, [mean, *tracklet.prototypes])
        self._decisions.link(now_us - 1, tracklet, choice, reason)

    def _new_person(self) -> int:
        number = self._next_person
        self._next_person += 1
        self._people[number] = []
        return number

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
        ended = [t for t in self._memory.tracklets.values() if self._is_gone(t, now_us) and t.person is not None]
        ended.sort(key=lambda t: (t.last_us, t.key))
        surplus = len(self._memory.tracklets) - self._settings.memory_tracklets
        old = [t for number, t in enumerate(ended) if t.last_us < horizon_us or number < surplus]
        if not old:
            return
        for tracklet in old:
            assert tracklet.person is not None
            here, known = self._presence(tracklet), self._past.get(tracklet.person)
            self._past[tracklet.person] = here if known is None else known + here
            keys = self._people[tracklet.person]
            keys.remove(tracklet.key)
            if not keys:
                del self._people[tracklet.person]
        self._memory.keep(self._memory.tracklets.keys() - {tracklet.key for tracklet in old})
