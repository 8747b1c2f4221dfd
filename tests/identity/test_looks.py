"""Likeness freed of cameras, and its measurement on a site."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retail_ray.identity.looks import LooksModel, likeness
from retail_ray.identity.settings import GallerySettings

SETTINGS = GallerySettings()


def two_cameras(people: int = 12, bias: float = 1.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of everybody in two cameras whose light moves all of a camera's people the same way."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(0, 1, (people, 64)) / 8
    light = rng.normal(0, 1, (2, 64)) / 8 * bias
    camera, person = np.repeat([0, 1], people), np.tile(np.arange(people), 2)
    vectors = centre[person] + light[camera] + rng.normal(0, 0.4, (2 * people, 64)) / 8 + 0.15
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), camera, person


def separation(values: np.ndarray, same: np.ndarray, different: np.ndarray) -> float:
    """Share of pairs in which one person's value is above two people's."""
    return float((values[same][:, None] > values[different][None]).mean())


def test_a_threshold_on_centred_likeness_holds_across_cameras_where_the_cosine_fails() -> None:
    means, camera, person = two_cameras()
    across = camera[:, None] != camera[None]
    same = across & (person[:, None] == person[None])
    different = (person[:, None] != person[None]) & ~np.eye(len(person), dtype=bool)
    plain = separation(means @ means.T, same, different)
    centred = separation(likeness(means, camera, SETTINGS), same, different)
    assert centred > 0.98
    assert plain < 0.9  # the control: people of one camera look alike in its light


def test_who_has_no_embedding_is_unknown_and_changes_nothing_for_others() -> None:
    means, camera, _ = two_cameras()
    more = np.concatenate([means, np.zeros((1, 64), np.float32)])
    found = likeness(more, np.append(camera, 1), SETTINGS)
    assert np.isnan(found[-1]).all()
    np.testing.assert_array_equal(found[:-1, :-1], likeness(means, camera, SETTINGS))


def test_a_site_teaches_what_its_likeness_is_worth() -> None:
    rng = np.random.default_rng(5)
    model = LooksModel.shipped(SETTINGS)
    before = float(model.evidence(np.array(0.35)))
    same, different = rng.normal(0.5, 0.05, 400), rng.normal(0.3, 0.05, 900)  # a uniform: all look much the same
    values = np.concatenate([same, different])
    is_same = np.arange(len(values)) < len(same)
    assert model.learn(values, is_same, ~is_same)
    assert before > 0 > float(model.evidence(np.array(0.35)))
    assert model.version == 1
    assert float(model.evidence(np.array(0.5))) > 0


def test_few_pairs_hardly_move_the_shipped_values_and_unknown_ones_not_at_all() -> None:
    model = LooksModel.shipped(SETTINGS)
    shipped = replace(model.same)
    assert not model.learn(np.array([np.nan]), np.array([True]), np.array([False]))
    assert (model.same, model.version) == (shipped, 0)
    model.learn(np.array([0.9]), np.array([True]), np.array([False]))
    assert abs(model.same.mean - shipped.mean) < 0.03


def test_learning_in_parts_is_learning_at_once() -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(0.3, 0.1, 300)
    at_once, in_parts = LooksModel.shipped(SETTINGS), LooksModel.shipped(SETTINGS)
    yes, no = np.ones(300, bool), np.zeros(300, bool)
    at_once.learn(values, yes, no)
    for part in np.split(np.arange(300), 3):
        in_parts.learn(values[part], yes[part], no[part])
    np.testing.assert_allclose(at_once.same.mean, in_parts.same.mean)
    np.testing.assert_allclose(at_once.same.deviation, in_parts.same.deviation)
