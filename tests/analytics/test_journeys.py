from __future__ import annotations

import math
from datetime import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.analytics.journeys import JourneyBook, JourneyFacts, JourneySettings
from retail_ray.core.errors import DataError
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow, ZoneVisit
from retail_ray.core.retail_records import Journey
from retail_ray.core.time import BusinessDay

S = 1_000_000
NAN = math.nan
DAY = BusinessDay("UTC", time(0))
SETTINGS = JourneySettings(DAY, visit_gap_s=60)


def decision(
    sequence: int,
    kind: str,
    identity: int | None = None,
    local_id: int | None = None,
    *,
    other: int | None = None,
    p: float = NAN,
    session: str = "s1",
    at_s: float = 0,
) -> IdentityEvent:
    camera = None if local_id is None else "door"
    at_us = round(at_s * S)
    return IdentityEvent(at_us, sequence, kind, session, identity, other, camera, local_id, NAN, NAN, "", p)  # type: ignore[arg-type]


def track(local_id: int, first_s: float, last_s: float) -> TrackletRow:
    return TrackletRow("door", local_id, round(first_s * S), round(last_s * S), 9, 0.9, NAN, 1, 0.5)


def crossing(local_id: int, at_s: float, way: str, *, back: bool = False) -> LineCrossing:
    return LineCrossing("main", "door", local_id, round(at_s * S), way, back)  # type: ignore[arg-type]


def zone(local_id: int, enter_s: float, exit_s: float, *, cut: bool = False, name: str = "bread") -> ZoneVisit:
    return ZoneVisit(name, "door", local_id, round(enter_s * S), round(exit_s * S), exit_s - enter_s, 0.0, cut)


def current(rows: list[Journey]) -> dict[str, Journey]:
    """What holds: of each identity and day the newest version, without what was withdrawn."""
    newest: dict[tuple[object, ...], list[Journey]] = {}
    for row in rows:
        place = (row.session_id, row.identity_id, DAY.date_of(row.enter_us))
        known = newest.setdefault(place, [])
        if known and known[0].version < row.version:
            known.clear()
        known.append(row)
    return {row.journey_id: row for known in newest.values() for row in known if not row.withdrawn}


def test_one_visit_of_three_tracklets() -> None:
    book = JourneyBook(SETTINGS)
    facts = JourneyFacts(
        events=[decision(0, "create", 7, 1, p=0.5), decision(1, "assign", 7, 2, p=0.9),
                decision(2, "assign", 7, 3, p=0.8)],
        tracklets=[track(1, 0, 10), track(2, 12, 40), track(3, 41, 60)],
        zone_visits=[zone(1, 6, 10, cut=True), zone(2, 12, 20, cut=True), zone(3, 45, 50, name="milk")],
        line_crossings=[crossing(1, 2, "in"), crossing(1, 3, "out", back=True), crossing(3, 55, "out")],
    )  # fmt: skip
    (row,) = book.update(facts, 4)
    assert (row.journey_id, row.session_id, row.identity_id, row.version) == ("s1-7-1", "s1", 7, 4)
    assert (row.enter_us, row.exit_us, row.censored) == (2 * S, 55 * S, False)
    assert [(s.zone_id, s.enter_us // S, s.exit_us // S) for s in row.stays] == [("bread", 6, 20), ("milk", 45, 50)]
    assert row.p_same == pytest.approx(0.9 * 0.8)  # the first tracklet's own decision is no link
    assert math.isnan(row.staff_probability)
    assert row.group_id is None
    assert book.update(JourneyFacts(), 5) == []


def test_a_link_without_probability_gives_none() -> None:
    events = [decision(0, "create", 1, 1), decision(1, "assign", 1, 2), decision(2, "create", 2, 3)]
    rows = JourneyBook(SETTINGS).update(JourneyFacts(events, [track(n, n, n + 1) for n in (1, 2, 3)]), 0)
    assert [math.isnan(row.p_same) for row in rows] == [True, False]
    assert rows[1].p_same == 1.0  # one tracklet is one person


def test_merge_split_and_a_tracklet_that_ends_later() -> None:
    book = JourneyBook(SETTINGS)
    rows = book.update(
        JourneyFacts([decision(0, "create", 1, 1), decision(1, "create", 2, 2)], [track(1, 0, 10), track(2, 20, 30)]), 0
    )
    assert [row.identity_id for row in rows] == [1, 2]
    rows += book.update(JourneyFacts([decision(2, "merge", 1, other=2, p=0.7)]), 1)
    assert [(row.identity_id, row.withdrawn, row.p_same) for row in rows[2:]] == [(1, False, 0.7), (2, True, 1.0)]
    rows += book.update(JourneyFacts([decision(3, "assign", 1, 3, p=0.9)]), 2)
    assert len(rows) == 4  # it has not ended: nothing to say yet
    rows += book.update(JourneyFacts(tracklets=[track(3, 35, 50)]), 3)
    assert (rows[-1].exit_us, rows[-1].p_same) == (50 * S, pytest.approx(0.63))
    rows += book.update(JourneyFacts([decision(4, "split", 3, 1, other=1, p=0.95)]), 4)
    found = current(rows)
    assert {name: (j.enter_us // S, j.exit_us // S) for name, j in found.items()} == {
        "s1-1-1": (20, 50), "s1-3-1": (0, 10),
    }  # fmt: skip
    assert found["s1-1-1"].p_same == pytest.approx(0.9)  # the founder left: the merge's link led to it


def test_two_visits_have_their_own_probability() -> None:
    """The link from the second visit to the first says nothing about the second alone."""
    events = [decision(0, "create", 1, 1), *(decision(n, "assign", 1, n + 1, p=0.5 + n / 10) for n in (1, 2, 3))]
    facts = JourneyFacts(events, [track(1, 0, 9), track(2, 9, 20), track(3, 200, 210), track(4, 210, 220)])
    first, second = JourneyBook(SETTINGS).update(facts, 0)
    assert (first.p_same, second.p_same) == (pytest.approx(0.6), pytest.approx(0.8))
    assert (first.journey_id, second.journey_id) == ("s1-1-1", "s1-1-2")


def test_the_reset_cuts_visits_and_deletes_nothing() -> None:
    """A tracklet over the reset belongs to an identity of each session, each with its part; both are cut off."""
    events = [
        decision(0, "session", at_s=0), decision(1, "create", 1, 1, at_s=2),
        decision(2, "session", session="s2", at_s=50), decision(3, "create", 2, 1, session="s2", at_s=52),
    ]  # fmt: skip
    facts = JourneyFacts(events, [track(1, 0, 100)], [zone(1, 40, 70)], [crossing(1, 10, "in"), crossing(1, 90, "out")])
    book = JourneyBook(SETTINGS)
    one, two = book.update(facts, 0)
    assert [(j.session_id, j.enter_us // S, j.exit_us // S, j.censored) for j in (one, two)] == [
        ("s1", 10, 50, True), ("s2", 50, 90, True),
    ]  # fmt: skip
    assert [(j.stays[0].enter_us // S, j.stays[0].exit_us // S) for j in (one, two)] == [(40, 50), (50, 70)]


def test_a_journey_that_moves_to_another_day_is_withdrawn_there() -> None:
    late = 86_400
    book = JourneyBook(SETTINGS)
    rows = book.update(JourneyFacts([decision(0, "create", 1, 2)], [track(2, late + 5, late + 9)]), 0)
    rows += book.update(JourneyFacts([decision(1, "assign", 1, 1, p=0.9)], [track(1, late - 5, late + 1)]), 1)
    assert [(row.version, row.withdrawn, row.enter_us // S - late) for row in rows] == [
        (0, False, 5), (1, False, -5), (1, True, 5),
    ]  # fmt: skip
    assert [row.enter_us // S - late for row in current(rows).values()] == [-5]


def test_staff_and_groups_come_from_outside() -> None:
    book = JourneyBook(SETTINGS)
    book.update(JourneyFacts([decision(0, "create", 1, 1)], [track(1, 0, 9)]), 0)
    (row,) = book.update(JourneyFacts(), 1, staff={("s1", 1): 0.9, ("s1", 8): 0.1}, groups={("s1", 1): 4})
    assert (row.staff_probability, row.group_id) == (0.9, 4)
    assert book.update(JourneyFacts(), 2, staff={("s1", 1): 0.9}) == []
    (row,) = book.update(JourneyFacts(tracklets=[track(8, 5, 6)], events=[decision(1, "create", 8, 8)]), 3)
    assert row.staff_probability == 0.1


def test_a_settled_session_is_forgotten_and_its_journeys_stay() -> None:
    book = JourneyBook(SETTINGS)
    rows = book.update(JourneyFacts([decision(0, "session"), decision(1, "create", 1, 1)], [track(1, 0, 10)]), 0)
    full = len(pack_state(book.state()))
    events = [decision(2, "session", session="s2", at_s=20), decision(3, "create", 2, 2, session="s2", at_s=21)]
    rows += book.update(JourneyFacts(events, [track(2, 20, 700)]), 1)
    assert set(current(rows)) == {"s1-1-1", "s2-2-1"}
    assert ("s1", 1) not in unpack_state(pack_state(book.state()))[1]
    assert len(pack_state(book.state())) < 2 * full


def test_decisions_out_of_order_and_foreign_states_are_refused() -> None:
    book = JourneyBook(SETTINGS)
    book.update(JourneyFacts([decision(3, "create", 1, 1)]), 0)
    with pytest.raises(DataError, match="decision 3 comes after 3"):
        book.update(JourneyFacts([decision(3, "create", 1, 1)]), 1)
    with pytest.raises(DataError, match="version 99"):
        book.restore((99, *book.state()[1:]))


@st.composite
def stories(draw: st.DrawFn) -> list[JourneyFacts]:
    """A run cut into epochs: tracklets decided about while they go on or afterwards, corrected at any time."""
    events: list[IdentityEvent] = []
    epochs: list[JourneyFacts] = []
    session, ended = 0, 0
    for epoch in range(draw(st.integers(1, 7))):
        fresh: list[IdentityEvent] = []
        if epoch == 0 or draw(st.integers(0, 5)) == 0:
            session += 1
            fresh.append(decision(len(events), "session", session=f"s{session}", at_s=epoch * 40))
        for _ in range(draw(st.integers(0, 5))):
            kind = draw(st.sampled_from(["create", "assign", "assign", "merge", "split"]))
            identity = draw(st.integers(1, 4))
            other = draw(st.integers(1, 4).filter(lambda o, i=identity: o != i)) if kind in ("merge", "split") else None
            local_id = None if kind == "merge" else draw(st.integers(1, 6))
            p = draw(st.sampled_from([NAN, 0.5, 0.9]))
            fresh.append(decision(len(events) + len(fresh), kind, identity, local_id, other=other, p=p,
                                  session=f"s{session}", at_s=epoch * 40))  # fmt: skip
        events += fresh
        ends = range(ended + 1, ended + 1 + draw(st.integers(0, 3)))
        ended = ends.stop - 1
        tracks = [track(n, epoch * 40 - draw(st.integers(0, 60)), epoch * 40 + draw(st.integers(0, 39))) for n in ends]
        inside = [draw(st.integers(1, 6)) for _ in range(draw(st.integers(0, 3)))]
        stays = [
            zone(n, epoch * 40 - 5, epoch * 40 + draw(st.integers(1, 20)), cut=draw(st.booleans())) for n in inside
        ]
        ways = [crossing(n, epoch * 40 + n, draw(st.sampled_from(["in", "out"]))) for n in inside]
        epochs.append(JourneyFacts(fresh, tracks, stays, ways))
    return epochs


def joined(epochs: list[JourneyFacts]) -> JourneyFacts:
    return JourneyFacts(
        [event for facts in epochs for event in facts.events],
        [row for facts in epochs for row in facts.tracklets],
        [row for facts in epochs for row in facts.zone_visits],
        [row for facts in epochs for row in facts.line_crossings],
    )


def said(rows: list[Journey]) -> list[str]:
    """Rows without their versions, in order of their names; NaN is like NaN."""
    return [repr(row).replace(f"version={row.version}", "") for _, row in sorted(current(rows).items())]


@settings(max_examples=100, deadline=None)
@given(epochs=stories(), stop=st.integers(0, 6))
def test_epoch_by_epoch_and_after_a_crash_as_from_scratch(epochs: list[JourneyFacts], stop: int) -> None:
    book, rows = JourneyBook(SETTINGS), []
    states = []
    for version, facts in enumerate(epochs):
        rows += book.update(facts, version)
        states.append(pack_state(book.state()))
    assert said(rows) == said(JourneyBook(SETTINGS).update(joined(epochs), 0))
    place = min(stop, len(epochs) - 1)
    resumed = JourneyBook(SETTINGS)
    resumed.restore(unpack_state(states[place]))
    again = [row for v, facts in enumerate(epochs[place + 1 :], place + 1) for row in resumed.update(facts, v)]
    assert [repr(row) for row in again] == [repr(row) for row in rows if row.version > place]
    assert pack_state(resumed.state()) == states[-1]


@settings(max_examples=60, deadline=None)
@given(epochs=stories())
def test_every_ended_tracklet_lies_in_one_journey_of_each_of_its_sessions(epochs: list[JourneyFacts]) -> None:
    """Visits of an identity do not overlap, and lie apart by more than the gap."""
    rows = current(JourneyBook(SETTINGS).update(joined(epochs), 0)).values()
    by_person: dict[tuple[object, object], list[Journey]] = {}
    for row in rows:
        by_person.setdefault((row.session_id, row.identity_id), []).append(row)
        assert row.enter_us <= row.exit_us
        assert all(row.enter_us <= s.enter_us <= s.exit_us <= row.exit_us for s in row.stays)
    for visits in by_person.values():
        assert all(a.exit_us < b.enter_us for a, b in pairwise(visits))
