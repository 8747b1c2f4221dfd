"""What the gallery learns of how many tracklets at an entrance are somebody new."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.identity_streams import resolved
from retail_ray.core.records import IdentityEvent
from retail_ray.identity.entrances import Entrance
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.newcomers import Newcomers
from retail_ray.identity.settings import GallerySettings
from tests.identity.streams import every, store

SETTINGS = GallerySettings()
PEOPLE, APART_NATS = 20, 4.0


def learnt(share: float, tracklets: int, rng: np.random.Generator, apart: float = APART_NATS) -> Newcomers:
    """One tracklet after the other: a newcomer resembles nobody, another one of twenty people.

    Likelihood ratios are as honest as they can be: Gaussian, of mean -apart for two people and apart for one, and
    twice that in variance.
    """
    known = Newcomers(SETTINGS)
    for _ in range(tracklets):
        score = rng.normal(-apart, math.sqrt(2 * apart), (1, PEOPLE))
        if rng.random() >= share:
            score[0, rng.integers(PEOPLE)] += 2 * apart
        known.learn(score)
    return known


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_share_of_newcomers_is_found_from_evidence_alone(share: float) -> None:
    found = learnt(share, 600, np.random.default_rng(1)).share
    assert found == pytest.approx(share, abs=0.08)


def test_evidence_that_tells_nothing_apart_teaches_nothing_true() -> None:
    """The control: the same learning, where newcomers and others look the same, cannot tell one site from another."""
    few, many = (learnt(share, 600, np.random.default_rng(1), apart=0.0).share for share in (0.05, 0.95))
    assert few == pytest.approx(many)


def test_before_anything_is_seen_the_shipped_share_holds() -> None:
    known = Newcomers(SETTINGS)
    assert known.share == SETTINGS.newcomer_share
    assert Newcomers(GallerySettings(newcomer_share=0.9)).nats(np.array([True])) > known.nats(np.array([True]))


def test_away_from_entrances_nothing_is_known_beforehand() -> None:
    assert learnt(0.95, 100, np.random.default_rng(0)).nats(np.array([False])).tolist() == [0.0]


def test_a_share_that_changes_is_followed() -> None:
    """Whoever opens with few visitors and fills later: what is long ago is forgotten."""
    known = Newcomers(SETTINGS)
    known.learn(np.full((700, PEOPLE), 3.0))
    assert known.share < 0.05
    known.learn(np.full((500, PEOPLE), -9.0))
    assert known.share > 0.9


@given(st.lists(st.lists(st.floats(-800, 800) | st.just(-math.inf), min_size=3, max_size=3), max_size=8))
def test_the_share_stays_a_share_and_survives_saving(rows: list[list[float]]) -> None:
    known, restored = Newcomers(SETTINGS), Newcomers(SETTINGS)
    for row in rows:
        known.learn(np.array([row]))
    restored.restore(pickle.loads(pickle.dumps(known.state())))
    assert 0 < known.share < 1
    assert restored.share == known.share
    assert np.isfinite(known.nats(np.array([True]))).all()


def births(events: list[IdentityEvent]) -> float:
    return float(np.mean([event.p_same for event in events if event.kind == "create"]))


def test_a_gallery_learns_at_its_entrances_and_decides_as_before() -> None:
    """Everybody comes in where they are first seen, as if the whole floor were an entrance."""
    shop = store(4, people=20, seconds=60.0)
    door = Entrance((-99.0, 99.0), (99.0, 99.0), (0.0, 200.0))
    found = []
    for worth in (math.inf, 0.001):
        gallery = Gallery(GallerySettings(newcomer_prior_tracklets=worth), "shop", "run", shop.views, [door])
        for messages in zip(*(every(5.0, whole, shop.end_us) for whole in shop.whole.values()), strict=True):
            for message in messages:
                gallery.submit(message)
        found.append(gallery.finish(shop.end_us))
    shipped, learnt_here = found
    assert resolved(shipped) == resolved(learnt_here)
    assert births(shipped) != births(learnt_here)
