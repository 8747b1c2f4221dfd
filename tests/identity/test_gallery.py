"""The gallery against scenes with known people."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import ConfigError, DataError
from retail_ray.core.event_time import CameraView, pack_state
from retail_ray.core.records import IdentityEvent
from retail_ray.core.types import Observations
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from tests.support.scenes import S, Sighting, chunks, message, unit, walk

CAMERAS = [CameraView("a", True), CameraView("b", True), CameraView("c", False)]
D = 16
LONG_US = 10**12


def gallery(cameras: Sequence[CameraView] = CAMERAS, **options: float) -> Gallery:
    return Gallery(GallerySettings(**options), "shop", "run", cameras)


def look(person: int, rng: np.random.Generator | None = None, noise: float = 0.05) -> tuple[float, ...]:
    vector = np.eye(D)[person % D]
    return unit(vector if rng is None else vector + rng.normal(0, noise, D))


def stand(
    local_id: int, person: int | None, begin_s: float, end_s: float, xy: tuple[float, float] = (0, 0)
) -> list[Sighting]:
    """A tracklet that stands still; its first sighting in each second has an embedding."""
    rows = walk(local_id, lambda _: xy, begin_s, end_s)
    if person is None:
        return rows
    return [replace(row, embedding=look(person)) if i % 10 == 0 else row for i, row in enumerate(rows)]


def run(box: Gallery, messages: Sequence[Observations], end_s: float = 60) -> list[IdentityEvent]:
    events = []
    for one in messages:
        box.submit(one)
        events += box.advance(LONG_US)
    return events + box.finish(round(end_s * S))


def people(events: Sequence[IdentityEvent]) -> dict[tuple[str, int], int]:
    """Tracklet -> identity, as views resolve it."""
    return {
        (e.camera_id, e.local_id): e.identity_id
        for e in events
        if e.camera_id is not None and e.local_id is not None and e.identity_id is not None
    }


def told(events: Sequence[IdentityEvent]) -> bytes:
    return pack_state([tuple(getattr(e, name) for name in e.__slots__) for e in events])


# A random shop: people walk through three cameras in turn or at once, with broken tracks and looks of their own.
def shop(seed: int, mixed_looks: bool = False) -> tuple[dict[str, list[Sighting]], dict[tuple[str, int], int]]:
    rng = np.random.default_rng(seed)
    seen: dict[str, list[Sighting]] = {"a": [], "b": [], "c": []}
    truth: dict[tuple[str, int], int] = {}
    number = itertools.count()
    for person in range(int(rng.integers(2, 6))):
        begin = float(rng.uniform(0, 6))
        x, y, speed = rng.uniform(0, 15), rng.uniform(0, 15), rng.uniform(0.2, 1.2)
        for camera in rng.permutation(["a", "b", "c"]):
            for low, high in ((0.0, 3.0), (3.6, 6.0)) if rng.random() < 0.5 else ((0.0, 6.0),):
                local_id = next(number)
                rows = walk(
                    local_id,
                    lambda t, p=(x, y, speed): (p[0] + p[2] * t, p[1]),
                    begin + low,
                    begin + high,
                    5,
                    0.05,
                    rng,
                )
                shown = int(rng.integers(D)) if mixed_looks else person
                seen[camera] += [
                    replace(row, embedding=look(shown, rng)) if rng.random() < 0.5 else row for row in rows
                ]
                truth[str(camera), local_id] = person
            if rng.random() < 0.6:
                begin += float(rng.uniform(6, 9))
    return seen, truth


def shop_messages(seen: dict[str, list[Sighting]], rng: np.random.Generator, cuts: int) -> list[list[Observations]]:
    """Per camera its messages in order, cut at random places."""
    return [
        chunks(name, seen[name], 60 * S, (int(c) for c in rng.integers(0, 40 * S, cuts)), calibrated=name != "c")
        for name in ("a", "b", "c")
    ]


def interleave(streams: list[list[Observations]], rng: np.random.Generator) -> list[Observations]:
    """A random order of arrival that keeps each camera's own order."""
    order = rng.permutation([i for i, stream in enumerate(streams) for _ in stream])
    queues = [iter(stream) for stream in streams]
    return [next(queues[i]) for i in order]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 12))
def test_any_arrival_chunking_and_camera_order_gives_the_same_bytes(seed: int, shuffle: int, cuts: int) -> None:
    seen, _ = shop(seed)
    rng = np.random.default_rng(shuffle)
    plain = run(gallery(), [stream[0] for stream in shop_messages(seen, rng, 0)])
    shuffled = interleave(shop_messages(seen, rng, cuts), rng)
    order = [CAMERAS[i] for i in rng.permutation(3)]
    assert told(run(gallery(order), shuffled)) == told(plain)
    # Without any advance in between even one camera's messages may arrive in any order, and twice.
    late = gallery(order)
    for i in rng.permutation(2 * len(shuffled)):
        late.submit(shuffled[i % len(shuffled)])
    assert told(late.finish(60 * S)) == told(plain)
    assert len(plain) > 2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_stop_at_any_tick_and_go_on_gives_the_same_bytes(seed: int, shuffle: int, reset: bool) -> None:
    seen, _ = shop(seed)
    rng = np.random.default_rng(shuffle)
    messages = interleave(shop_messages(seen, rng, 6), rng)
    stop_us = int(rng.integers(0, 30 * S))

    whole = gallery()
    if reset:
        whole.reset_session(9 * S)
    plain = run(whole, messages)

    first = gallery()
    if reset:
        first.reset_session(9 * S)
    for one in messages:
        first.submit(one)
    before = first.advance(stop_us)
    second = gallery()
    second.restore(first.state())
    assert second.state() == first.state()
    if reset:
        second.reset_session(9 * S)  # the schedule is told again at a restart
    after = run(second, messages)
    assert told([*before, *after]) == told(plain)
    assert second.state() == whole.state() or second.live().counts.late > 0


def test_state_holds_nothing_of_messages_that_are_not_worked_yet() -> None:
    box = gallery([CameraView("a", True)])
    early, late = chunks("a", stand(1, 0, 0, 20), 21 * S, [5 * S])
    box.submit(early)
    box.advance(LONG_US)
    state = box.state()
    box.submit(late)
    assert box.state() == state
    assert pickle.loads(pickle.dumps(box)).state() == state


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_every_tracklet_gets_one_identity_and_unlike_ones_seen_at_once_by_a_camera_never_share_it(
    seed: int, equal: bool
) -> None:
    seen, truth = shop(seed, mixed_looks=True)
    if equal:
        seen = {
            name: [replace(row, embedding=look(0) if row.embedding else None) for row in rows]
            for name, rows in seen.items()
        }
    looks = {
        (name, row.local_id): int(np.argmax(row.embedding))
        for name, rows in seen.items()
        for row in rows
        if row.embedding
    }
    looks = {key: looks.get(key, -1 - number) for number, key in enumerate(truth)}
    events = run(gallery(), [stream[0] for stream in shop_messages(seen, np.random.default_rng(0), 0)])
    found = people(events)
    assert found.keys() == truth.keys()
    span = {
        (name, local_id): (min(times), max(times))
        for name, rows in seen.items()
        for local_id in {row.local_id for row in rows}
        if (times := [row.time_us for row in rows if row.local_id == local_id])
    }
    for one, other in itertools.combinations(sorted(span), 2):
        at_once_us = min(span[one][1], span[other][1]) - max(span[one][0], span[other][0])
        if one[0] == other[0] and at_once_us >= 3 * S and not equal and looks[one] != looks[other]:
            assert found[one] != found[other]


def pair_accuracy(found: dict[tuple[str, int], int], truth: dict[tuple[str, int], int]) -> float:
    pairs = list(itertools.combinations(sorted(truth), 2))
    return float(np.mean([(found[a] == found[b]) == (truth[a] == truth[b]) for a, b in pairs]))


def queue_of_strangers() -> tuple[dict[str, list[Sighting]], dict[tuple[str, int], int]]:
    """Six people, one after another, each first at camera a and half a minute later at uncalibrated camera c."""
    seen: dict[str, list[Sighting]] = {"a": [], "b": [], "c": []}
    truth = {}
    for person in range(6):
        seen["a"] += stand(person, person, 8 * person, 8 * person + 4, (3, 3))
        seen["c"] += stand(100 + person, person, 30 + 8 * person, 34 + 8 * person)
        truth["a", person] = truth["c", 100 + person] = person
    return seen, truth


def link_strangers(seen: dict[str, list[Sighting]]) -> dict[tuple[str, int], int]:
    return people(run(gallery(), [message(n, rows, 99 * S, calibrated=n != "c") for n, rows in seen.items()], 99))


def test_people_are_recognised_in_another_camera_by_their_looks() -> None:
    seen, truth = queue_of_strangers()
    assert pair_accuracy(link_strangers(seen), truth) == 1.0


def test_negative_control_shuffled_looks_give_wrong_links() -> None:
    seen, truth = queue_of_strangers()
    swap = {person: (person + 1) % 6 for person in range(6)}
    seen["c"] = [replace(row, embedding=look(swap[row.local_id - 100])) if row.embedding else row for row in seen["c"]]
    found = link_strangers(seen)
    assert pair_accuracy(found, truth) < 0.9
    assert all(found["c", 100 + p] == found["a", swap[p]] for p in range(6))


@pytest.mark.parametrize(
    ("later_s", "distance_m", "same"),
    [
        (8, 10.0, True),  # 10 m in 4 s
        (8, 18.0, False),  # 18 m in 4 s: 4.5 m/s
        (30, 18.0, True),  # the same way in 26 s
    ],
)
def test_nobody_moves_faster_than_three_metres_a_second(later_s: float, distance_m: float, same: bool) -> None:
    events = run(
        gallery(),
        [
            message("a", stand(1, 0, 0, 4), 60 * S),
            message("b", stand(2, 0, later_s, later_s + 4, (distance_m, 0)), 60 * S),
            message("c", [], 60 * S),
        ],
    )
    found = people(events)
    assert (found["a", 1] == found["b", 2]) is same


@pytest.mark.parametrize(
    ("apart_m", "persons", "same"),
    [
        (0.3, (0, 0), True),  # same place, same looks
        (4.0, (0, 0), False),  # twins at once at two places
        (0.2, (None, None), True),  # nobody has an embedding: the floor decides
        (1.2, (0, 1), False),  # near each other, but unlike
    ],
)
def test_two_cameras_at_once_agree_on_the_floor(
    apart_m: float, persons: tuple[int | None, int | None], same: bool
) -> None:
    events = run(
        gallery(),
        [
            message("a", stand(1, persons[0], 0, 10), 60 * S),
            message("b", stand(2, persons[1], 0, 10, (apart_m, 0)), 60 * S),
            message("c", [], 60 * S),
        ],
    )
    found = people(events)
    assert (found["a", 1] == found["b", 2]) is same
    assert not same or next(e for e in events if e.kind == "assign").reason.startswith("floor")


def test_an_unclear_decision_waits_and_then_says_how_unsure_it_is() -> None:
    """Two people look alike; a third tracklet in an uncalibrated camera could be either of them."""
    between = [replace(row, embedding=look(0) if row.embedding else None) for row in stand(3, 0, 10, 20)]
    events = run(
        gallery(),
        [
            message("a", [*stand(1, 0, 0, 5), *stand(2, 0, 0, 5, (9, 0))], 60 * S),
            message("b", [], 60 * S),
            message("c", between, 60 * S, calibrated=False),
        ],
    )
    third = [e for e in events if e.local_id == 3]
    assert [(e.kind, e.reason) for e in third[:1]] == [("assign", "looks (calibration 0), unclear")]
    assert third[0].margin < 0.1
    assert third[0].p_same < 0.55
    # 1 s of gathering evidence and 3 s of waiting after the first sight at 10 s
    assert 14 * S <= third[0].time_us + 1 <= 14.5 * S


def test_a_tracklet_without_embedding_becomes_a_person_after_its_wait() -> None:
    events = run(gallery([CameraView("a", True)]), chunks("a", stand(1, None, 0, 20), 60 * S))
    created = [e for e in events if e.kind == "create"]
    assert [(e.local_id, e.reason, e.time_us + 1) for e in created] == [(1, "no embedding", 2 * S)]


def test_fragments_within_a_camera_are_stitched() -> None:
    """Likeness alone is not enough; nearness in place and time is what links them."""
    half_alike = unit([1.0, math.sqrt(1 / 0.68**2 - 1), *([0.0] * (D - 2))])
    later = [replace(row, embedding=half_alike if row.embedding else None) for row in stand(2, 0, 6, 10, (0.6, 0))]
    near = run(gallery([CameraView("a", True)]), chunks("a", stand(1, 0, 0, 5) + later, 60 * S))
    linked = next(e for e in near if e.local_id == 2)
    assert (linked.kind, linked.reason.startswith("looks and way")) == ("assign", True)
    far = [replace(row, x_m=row.x_m + 4) for row in later]
    apart = run(gallery([CameraView("a", True)]), chunks("a", stand(1, 0, 0, 5) + far, 60 * S))
    assert [e.kind for e in apart if e.local_id == 2] == ["create"]


def test_a_track_that_comes_back_beside_its_successor_is_split_off() -> None:
    """Tracklet 1 is lost, 2 takes its identity, then 1 is seen again at the same time as 2."""
    rows = [*stand(1, 0, 0, 5), *stand(2, 0, 7, 20, (1.5, 0)), *stand(1, 0, 12, 20)]
    events = run(gallery([CameraView("a", True)]), chunks("a", rows, 60 * S))
    kinds = [e.kind for e in events if e.kind != "session"]
    assert kinds == ["create", "assign", "split"]
    assert people(events)["a", 1] != people(events)["a", 2]


@pytest.mark.parametrize(("apart_m", "same"), [(0.1, True), (1.5, False)])
def test_a_doubled_box_is_one_person_and_two_places_are_two(apart_m: float, same: bool) -> None:
    """One camera sees both at once, and they look the same."""
    rows = [*stand(1, 0, 0, 20), *stand(2, 0, 5, 20, (apart_m, 0))]
    found = people(run(gallery([CameraView("a", True)]), chunks("a", rows, 60 * S)))
    assert (found["a", 1] == found["a", 2]) is same


def test_a_tracklet_that_takes_over_within_a_tick_was_not_seen_beside_the_other() -> None:
    """Both are in the tick that begins at 5 s; 0.2 s and 0.2 m lie between them."""
    rows = [*stand(1, None, 0, 5.1), *stand(2, None, 5.3, 10, (0.2, 0))]
    found = people(run(gallery([CameraView("a", True)]), chunks("a", rows, 60 * S)))
    assert found["a", 1] == found["a", 2]


def test_what_was_learnt_from_a_split_tracklet_goes_with_it() -> None:
    beside = (1.5, 0.0)
    resembles = unit([0.85, math.sqrt(1 - 0.85**2), *([0.0] * (D - 2))])

    def as_two(rows: list[Sighting]) -> list[Sighting]:
        return [replace(row, embedding=resembles if row.embedding else None) for row in rows]

    rows = [*stand(1, 0, 0, 5), *as_two(stand(2, 0, 7, 20, beside)), *stand(1, 0, 12, 20), *as_two(stand(3, 0, 40, 45))]
    events = run(gallery([CameraView("a", True)]), chunks("a", rows, 60 * S))
    found = people(events)
    assert found["a", 1] != found["a", 2] == found["a", 3]


def test_reset_begins_a_session_forgets_looks_and_keeps_tracklets() -> None:
    box = gallery([CameraView("a", True)])
    rows = [*stand(1, 0, 0, 18), *stand(2, 1, 0, 3, (3, 3)), *stand(3, 1, 24, 28, (3, 3))]
    for one in chunks("a", rows, 60 * S):
        box.submit(one)
    box.reset_session(10 * S + 1)
    box.reset_session(10 * S + 1)
    events = box.advance(15 * S)
    box.reset_session(10 * S)  # told again after it was worked
    events += box.finish(60 * S)
    sessions = [e for e in events if e.kind == "session"]
    assert [(e.time_us, e.session_id) for e in sessions] == [
        (0, "shop-19700101T000000.000000Z"),
        (round(10.5 * S), "shop-19700101T000010.500000Z"),
    ]
    of_one = [(e.session_id, e.identity_id) for e in events if e.local_id == 1]
    assert of_one == [(sessions[0].session_id, 1), (sessions[1].session_id, 3)]
    # The look of person 2 expired with its session: tracklet 3 looks the same and is new.
    assert [(e.kind, e.identity_id) for e in events if e.local_id == 3] == [("create", 4)]
    assert [e.sequence for e in events] == list(range(len(events)))
    assert all(sessions[1].time_us <= e.time_us for e in events if e.session_id == sessions[1].session_id)


def test_cameras_that_have_not_begun_hold_the_others_back_only_from_their_start() -> None:
    box = gallery([CameraView("a", True), CameraView("late", True, start_us=10 * S)])
    box.submit(message("a", stand(1, 0, 0, 30), 31 * S))
    events = box.advance(LONG_US)
    assert box.worked_until_us == 10 * S
    assert [e.kind for e in events] == ["session", "create"]
    box.end_camera("late")
    box.advance(LONG_US)
    assert box.worked_until_us == 31 * S


def test_bad_rows_are_dropped_and_counted_and_the_rest_goes_on() -> None:
    box = gallery([CameraView("a", True)])
    good = message("a", stand(1, 0, 0, 5), 5 * S + 1)
    floor = good.floor_xy_m.copy()
    floor[3] = np.nan, 1.0
    covariance = good.floor_cov_m2.copy()
    covariance[4] = np.inf
    foot = good.foot_px.copy()
    foot[5] = np.nan
    local_id = good.local_id.copy()
    local_id[6:8] = -1
    vectors = good.embedding.copy()
    vectors[1] = 0
    quality = good.embedding_quality.copy()
    quality[2] = np.nan
    box.submit(
        replace(
            good,
            floor_xy_m=floor,
            floor_cov_m2=covariance,
            foot_px=foot,
            local_id=local_id,
            embedding=vectors,
            embedding_quality=quality,
        )
    )
    box.submit(message("a", stand(1, 0, 0, 1), 5 * S))
    events = box.advance(LONG_US)
    box.submit(message("a", stand(1, 0, 2, 3), 5 * S))  # long worked
    counts = box.live().counts
    assert (counts.invalid, counts.untracked, counts.late) == (3, 2, 11)
    assert counts.duplicate == 11 - 3  # rows 5, 6 and 7 of the first message were not there any more
    assert people(events) == {("a", 1): 1}


def test_messages_that_break_the_contract_are_refused_by_name() -> None:
    box = gallery([CameraView("a", True)])
    good = message("a", stand(1, 0, 0, 5), 5 * S)
    with pytest.raises(DataError, match="camera 'x' is not of this site; known: a"):
        box.submit(replace(good, camera_id="x"))
    with pytest.raises(DataError, match="camera 'a': embedding_row holds 1049, the message has 51 rows"):
        box.submit(replace(good, embedding_row=good.embedding_row + 999))
    box.submit(good)
    with pytest.raises(DataError, match="camera 'a': embeddings have 3 numbers, those of before 16"):
        box.submit(replace(good, embedding=good.embedding[:, :3]))
    with pytest.raises(DataError, match="run 'run'"):
        Gallery(GallerySettings(), "shop", "another", [CameraView("a", True)]).restore(box.state())
    with pytest.raises(DataError, match="the saved state is of cameras"):
        gallery().restore(box.state())
    with pytest.raises(ConfigError, match="birth_cost must not be negative"):
        GallerySettings(birth_cost=-1)


def test_a_camera_that_jumps_in_time_does_not_take_the_site_with_it() -> None:
    box = gallery([CameraView("a", True), CameraView("b", True)])
    box.submit(message("b", stand(2, 1, 4000, 4005), 4006 * S))
    box.submit(message("a", stand(1, 0, 0, 5), 6 * S))
    events = box.advance(LONG_US)
    assert people(events) == {("a", 1): 1}
    assert box.worked_until_us == 6 * S
    box.submit(message("b", stand(3, 2, 1, 3), 4 * S))  # back again: too late, and counted
    assert box.live().counts.late == 21


def test_ended_tracklets_are_forgotten_but_people_are_not() -> None:
    """A person seen again after five minutes keeps the identity, and the state does not grow with fragments."""
    rows, sizes = [], []
    box = gallery([CameraView("a", True)])
    for visit in range(30):
        rows = stand(visit, 0, 300 * visit, 300 * visit + 4)
        box.submit(message("a", rows, (300 * visit + 299) * S))
        events = box.advance(LONG_US)
        assert set(people(events).values()) == {1}
        sizes.append(len(box.state()))
    assert sizes[-1] < 1.5 * sizes[3]


def test_live_counts_people_waiting_and_present() -> None:
    box = gallery([CameraView("a", True)])
    box.submit(message("a", [*stand(1, 0, 0, 10), *stand(2, 1, 0, 3, (9, 0)), *stand(3, None, 9, 10, (5, 5))], 10 * S))
    box.advance(LONG_US)
    live = box.live()
    assert (live.identities, live.present, live.waiting, live.worked_until_us) == (2, 1, 1, 10 * S)
