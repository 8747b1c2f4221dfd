"""From a lake to staff probability and groups, and from pictures of uniforms to embeddings."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.analytics.uniforms import UniformSettings, uniform_log_odds
from retail_ray.config import Site
from retail_ray.core.errors import ConfigError, DataError
from retail_ray.lake.views import open_lake
from retail_ray.runtime.people_traits import PeopleTraits, people_traits
from retail_ray.runtime.uniforms import embedded_uniforms, uniform_pictures
from tests.evaluation.stores import Seen, perfect

PATCH_HW = (8, 4)
ALL_OF_IT = [[0, 0], [12, 0], [12, 6], [0, 6]]


def site(**changes: Any) -> Site:
    camera = {"id": "left", "uri": "left.mp4", "floor": {"homography": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}}
    return Site.model_validate({"site": "shop", "timezone": "UTC", "cameras": [camera], **changes})


def traits(seen: Seen, root: Path, of: Site, **likeness: Any) -> PeopleTraits:
    with open_lake(seen.write(root)) as lake:
        return people_traits(lake, of, "r1", date(2026, 3, 2), **likeness)


def test_everybody_has_a_probability_with_reasons_and_who_came_alone_no_group(tmp_path: Path) -> None:
    found = traits(perfect(), tmp_path, site())
    assert set(found.staff_probability) == {("s1", number) for number in (1, 2, 3, 4)}
    assert max(found.staff_probability.values()) < 0.5
    assert found.group_id == {}
    assert (found.entries.persons, found.entries.groups) == (4, 4)


def test_time_in_a_staff_zone_or_behind_a_checkout_counts(tmp_path: Path) -> None:
    plain = traits(perfect(), tmp_path / "a", site())
    zone = traits(perfect(), tmp_path / "b", site(zones=[{"id": "back", "m": ALL_OF_IT, "kind": "staff"}]))
    till = {"id": "till", "lane_m": [[0, 0], [1, 0]], "service_m": [[1, 0], [2, 0], [2, 1]], "cashier_m": ALL_OF_IT}
    cashier = traits(perfect(), tmp_path / "c", site(queues=[till]))
    for key, probability in plain.staff_probability.items():
        assert zone.staff_probability[key] > probability
        assert next(iter(cashier.staff_reasons[key])) == "behind_checkout"


def test_a_staff_zone_on_a_picture_counts_by_its_visits(tmp_path: Path) -> None:
    on_picture = {"id": "shelf", "camera": "left", "px": [[0, 0], [10, 0], [10, 10]], "kind": "staff"}
    plain, zone = (
        traits(perfect(), tmp_path / name, of) for name, of in (("a", site()), ("b", site(zones=[on_picture])))
    )
    assert zone.staff_probability["s1", 1] > plain.staff_probability["s1", 1]


def test_likeness_to_a_uniform_counts_for_its_identity_alone(tmp_path: Path) -> None:
    plain = traits(perfect(), tmp_path / "a", site())
    dressed = traits(perfect(), tmp_path / "b", site(), uniform_log_odds={("s1", 2): 4.0})
    changed = {key for key, p in dressed.staff_probability.items() if p != plain.staff_probability[key]}
    assert changed == {("s1", 2)}


def picture(path: Path, colour: int, hw: tuple[int, int] = (128, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*hw, 3), colour, np.uint8))
    return path


def brightness(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A stand-in for a network: dark to (1, 0), bright to (0, 1)."""
    assert patches.shape[1:] == (*PATCH_HW, 3)
    angle = patches.reshape(len(patches), -1).mean(axis=1) / 255 * np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_pictures_and_folders_become_one_embedding_each(tmp_path: Path) -> None:
    places = [str(picture(tmp_path / "one.png", 255)), str(picture(tmp_path / "more" / "b.png", 0).parent)]
    picture(tmp_path / "more" / "a.JPG", 255)
    (tmp_path / "more" / "notes.txt").write_text("no picture")
    assert [path.name for path in uniform_pictures(places)] == ["one.png", "a.JPG", "b.png"]
    found = embedded_uniforms(places, PATCH_HW, brightness)
    assert np.allclose(found, [[0, 1], [0, 1], [1, 0]], atol=0.01)


def test_without_pictures_there_is_no_uniform() -> None:
    nothing = embedded_uniforms([], PATCH_HW, brightness)
    assert nothing.shape == (0, 0)
    known = uniform_log_odds(np.ones((1, 2), np.float32), np.zeros(1, np.int64), 1, nothing)
    assert known.tolist() == [0]


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "small", "empty folder"])
def test_what_is_no_picture_of_a_person_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    place = tmp_path / f"{kind}.png"
    if kind == "text":
        place.write_text("a uniform is green")
    elif kind == "empty":
        place.write_bytes(b"")
    elif kind == "small":
        picture(place, 9, (20, 10))
    elif kind == "empty folder":
        place.mkdir()
    with pytest.raises(ConfigError, match=rf"identity\.staff\.uniforms: .*{place}"):
        embedded_uniforms([str(place)], PATCH_HW, brightness)


def test_alike_speaks_for_staff_unlike_only_a_little_against_and_unknown_not_at_all() -> None:
    uniforms = np.array([[1, 0]], np.float32)
    angles = np.array([0.0, 0.1, 1.5], np.float64)
    people = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = uniform_log_odds(people, np.array([0, 0, 2]), 4, uniforms)
    settings = UniformSettings()
    assert found.tolist() == [settings.alike_log_odds, 0, settings.unlike_log_odds, 0]
    with pytest.raises(DataError, match="same network"):
        uniform_log_odds(np.ones((1, 3), np.float32), np.zeros(1, np.int64), 1, uniforms)
