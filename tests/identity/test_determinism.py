"""The same video gives the same identities, to the last byte, however its messages arrive. Public surface only."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.event_time import CameraView
from retail_ray.core.records import IdentityEvent
from retail_ray.core.types import Observations
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from tests.identity.streams import S, Store, every, in_step, pieces, store, told

LONG_US = 10**12
EPOCH_S = 6
SEEDS = st.integers(0, 2)
SHUFFLES = st.integers(0, 2**31)


def gallery(views: Sequence[CameraView], threads: int = 1) -> Gallery:
    return Gallery(GallerySettings(faiss_threads=threads), "shop", "run", views)


@functools.cache
def shop(seed: int) -> Store:
    return store(seed)


@functools.cache
def plain(seed: int, reset: bool = False) -> bytes:
    """Everything told at once, worked at once."""
    one = gallery(shop(seed).views)
    if reset:
        one.reset_session(13 * S)
    for whole in shop(seed).whole.values():
        one.submit(whole)
    events = one.finish(shop(seed).end_us)
    kinds = {event.kind for event in events}
    assert {"session", "create", "assign"} <= kinds <= {"session", "create", "assign", "merge", "split"}
    assert len(events) > 20
    return told(events)


def delayed(seed: int, rng: np.random.Generator) -> list[Observations]:
    """All messages, cut at random places, in any interleaving that keeps each camera's order."""
    streams = [
        pieces(whole, rng.integers(0, shop(seed).end_us, int(rng.integers(1, 25))).tolist(), shop(seed).end_us)
        for whole in shop(seed).whole.values()
    ]
    # Some cameras run ahead as far as they like, others come late.
    speed = rng.choice([0.05, 1.0, 20.0], len(streams))
    at = [(rng.uniform(0, speed[i]) + n * speed[i], i, n) for i, one in enumerate(streams) for n in range(len(one))]
    return [streams[i][n] for _, i, n in sorted(at)]


def run(one: Gallery, messages: Sequence[Observations], rng: np.random.Generator, end_us: int) -> list[IdentityEvent]:
    """Advance at any times, to any times, and tell some messages twice."""
    events: list[IdentityEvent] = []
    for message in messages:
        one.submit(message)
        if rng.random() < 0.2:
            one.submit(message)
        if rng.random() < 0.5:
            events += one.advance(int(rng.integers(0, end_us)) if rng.random() < 0.5 else LONG_US)
    return events + one.finish(end_us)


@settings(max_examples=12, deadline=None)
@given(SEEDS, SHUFFLES)
def test_any_arrival_gives_the_same_bytes(seed: int, shuffle: int) -> None:
    rng = np.random.default_rng(shuffle)
    views = [shop(seed).views[i] for i in rng.permutation(len(shop(seed).views))]
    assert told(run(gallery(views), delayed(seed, rng), rng, shop(seed).end_us)) == plain(seed)


@settings(max_examples=8, deadline=None)
@given(SEEDS, SHUFFLES)
def test_messages_of_one_camera_out_of_order_before_they_are_worked(seed: int, shuffle: int) -> None:
    rng = np.random.default_rng(shuffle)
    one, messages = gallery(shop(seed).views), delayed(seed, rng)
    for i in rng.permutation(2 * len(messages)):
        one.submit(messages[i % len(messages)])
    assert told(one.finish(shop(seed).end_us)) == plain(seed)


@settings(max_examples=10, deadline=None)
@given(SEEDS, SHUFFLES, st.booleans())
def test_stopped_and_restored_at_epoch_boundaries_gives_the_same_bytes(seed: int, shuffle: int, reset: bool) -> None:
    """Killed at some ends of epochs; after each the cameras tell again what the lost gallery knew beyond it."""
    rng = np.random.default_rng(shuffle)
    end_us, messages = shop(seed).end_us, delayed(seed, rng)
    one, events = gallery(shop(seed).views), []
    if reset:
        one.reset_session(13 * S)
    for epoch_us in range(EPOCH_S * S, end_us, EPOCH_S * S):
        for message in messages:
            if message.watermark_us > epoch_us - EPOCH_S * S:
                one.submit(message)
        events += one.advance(epoch_us)
        if rng.random() < 0.6:
            state = one.state()
            one = gallery(shop(seed).views)
            one.restore(state)
            assert one.state() == state
            if reset:
                one.reset_session(13 * S)
        elif rng.random() < 0.3:
            one = pickle.loads(pickle.dumps(one))
    assert told(events + run(one, messages, rng, end_us)) == plain(seed, reset)


@pytest.mark.parametrize("seed", [0, 1])
def test_threads_of_faiss_change_nothing(seed: int) -> None:
    """Many people at once, so that searches are batches."""
    busy = store(seed, people=40, seconds=20)
    told_by = []
    for threads in (1, 2):
        one = gallery(busy.views, threads)
        events: list[IdentityEvent] = []
        for message in in_step([every(2, whole, busy.end_us) for whole in busy.whole.values()]):
            one.submit(message)
            events += one.advance(LONG_US)
        told_by.append((told(events + one.finish(busy.end_us)), one.state()))
    assert told_by[0] == told_by[1]


def test_negative_control_other_video_other_bytes() -> None:
    """The comparison sees which video it was, and that half of one camera is missing."""
    whole = dict(shop(0).whole)
    name = next(iter(whole))
    assert len({plain(seed) for seed in (0, 1, 2)}) == 3
    damaged = pieces(whole[name], [shop(0).end_us // 2], shop(0).end_us)[0]
    one = gallery(shop(0).views)
    for message in [damaged, *(whole[other] for other in whole if other != name)]:
        one.submit(message)
    assert told(one.finish(shop(0).end_us)) != plain(0)
