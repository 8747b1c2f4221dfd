"""A camera whose floor contradicts the others is found, named, counted and contained; right ones are left alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.core.event_time import WatermarkBuffer
from retail_ray.core.homography import FloorCalibration, from_camera
from retail_ray.core.pose import look_at
from retail_ray.core.retail_records import Alert
from retail_ray.core.types import Observations
from retail_ray.identity.contradictions import Agreement, Contradictions
from retail_ray.identity.gallery import Gallery
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import sightings
from tests.identity.streams import S, Store, every, identities, in_step, store

Whole = Mapping[str, Observations]
SETTINGS = GallerySettings()
LONG_US = 10**12


@functools.cache
def shop(seed: int = 3, seconds: float = 90.0) -> Store:
    return store(seed, people=14, cameras=4, seconds=seconds, dimension=32)


def shifted(whole: Whole, camera: str, by_m: tuple[float, float]) -> dict[str, Observations]:
    seen = whole[camera]
    return {**whole, camera: replace(seen, floor_xy_m=seen.floor_xy_m + np.array(by_m))}


def pinholes(names: list[str], side_m: float) -> dict[str, FloorCalibration]:
    """A camera in each corner of the floor, under the ceiling, that looks at its middle."""
    found = {}
    near, far = -1.0, side_m + 1.0
    for name, (x, y) in zip(names, [(near, near), (far, near), (near, far), (far, far)], strict=True):
        rotation, translation = look_at(np.array([x, y, 4.0]), np.array([side_m / 2, side_m / 2, 0.0]))
        lens = np.array([[900.0, 0.0, 959.5], [0.0, 900.0, 539.5], [0.0, 0.0, 1.0]])
        found[name] = from_camera(lens, rotation, translation, np.zeros(5))
    return found


def exchanged(whole: Whole, one: str, other: str) -> dict[str, Observations]:
    """Both cameras' pixels are read with the other's calibration."""
    side_m = max(float(np.nanmax(seen.floor_xy_m)) for seen in whole.values())
    of = pinholes(sorted(whole), side_m)

    def read(name: str, wrong: str) -> Observations:
        return replace(whole[name], floor_xy_m=of[wrong].to_floor(of[name].to_pixels(whole[name].floor_xy_m)))

    return {**whole, one: read(one, other), other: read(other, one)}


def judged(whole: Whole, of: Store, book: Contradictions | None = None) -> dict[str, Agreement]:
    """After all ticks."""
    buffer = WatermarkBuffer(of.views, round(SETTINGS.tick_s * S))
    book = book or Contradictions(SETTINGS, len(of.views))
    for seen in whole.values():
        buffer.submit(replace(seen, watermark_us=of.end_us))
    for name in buffer.camera_ids:
        buffer.end(name)
    for number, tick in enumerate(buffer.ticks(of.end_us, lambda: None)):
        rows = list(sightings(tick))
        keys = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2)
        book.see(keys[:, 0], keys[:, 1], np.array([row[4] for row in rows]).reshape(-1, 6))
        if number % 10 == 9:
            book.judge()
    return dict(zip(buffer.camera_ids, book.of_all(), strict=True))


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_right_cameras_are_trusted(seed: int) -> None:
    found = judged(shop(seed).whole, shop(seed))
    assert not [name for name, one in found.items() if one.doubted]
    assert min(one.share for one in found.values()) > 2 * SETTINGS.doubt_share
    assert min(one.owed for one in found.values()) > SETTINGS.doubt_after


@pytest.mark.parametrize("by_m", [(1.5, 0.0), (0.0, -1.5), (-1.06, 1.06)])
@pytest.mark.parametrize("camera", ["camera-00", "camera-03"])
def test_one_shifted_camera_is_the_one_that_is_named(camera: str, by_m: tuple[float, float]) -> None:
    found = judged(shifted(shop().whole, camera, by_m), shop())
    assert [name for name, one in found.items() if one.doubted] == [camera]
    assert found[camera].share < SETTINGS.doubt_share / 2
    assert found[camera].against
    assert not found[camera].alone


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_whose_feet_are_hidden_most_of_the_time_are_no_contradiction(seed: int) -> None:
    """In a crowd whole tracklets stand beside their places, and cameras that face each other seldom agree."""
    rng = np.random.default_rng(seed)
    whole = dict(shop(seed).whole)
    for name, seen in whole.items():
        hidden = {local_id: rng.normal(0.0, 2.0, 2) for local_id in np.unique(seen.local_id) if rng.random() < 0.75}
        aside = np.array([hidden.get(local_id, (0.0, 0.0)) for local_id in seen.local_id.tolist()])
        whole[name] = replace(seen, floor_xy_m=seen.floor_xy_m + aside.astype(seen.floor_xy_m.dtype))
    found = judged(whole, shop(seed))
    assert min(one.share for one in found.values()) < 0.14
    assert not [name for name, one in found.items() if one.doubted]


def test_a_small_error_of_calibration_is_no_contradiction() -> None:
    assert not any(one.doubted for one in judged(shifted(shop().whole, "camera-02", (0.3, 0.2)), shop()).values())


@pytest.mark.parametrize(("one", "other"), [("camera-01", "camera-03"), ("camera-00", "camera-01")])
def test_exchanged_calibrations_are_both_named(one: str, other: str) -> None:
    found = judged(exchanged(shop().whole, one, other), shop())
    assert [name for name, seen in found.items() if seen.doubted] == [one, other]


def test_exchanged_cameras_that_face_each_other_agree_and_contradict_the_rest() -> None:
    """Their floor is turned by half a turn as a whole: two against two, and nobody can tell which."""
    found = judged(exchanged(shop().whole, "camera-01", "camera-02"), shop())
    assert all(one.doubted and one.alone for one in found.values())
    assert found["camera-01"].against == (0, 3)


def test_pixels_read_with_their_own_calibration_are_the_control() -> None:
    whole = shop().whole
    of = pinholes(sorted(whole), 10.0)
    same = {n: replace(w, floor_xy_m=of[n].to_floor(of[n].to_pixels(w.floor_xy_m))) for n, w in whole.items()}
    assert not any(one.doubted for one in judged(same, shop()).values())


def test_of_two_cameras_both_are_named_because_nobody_else_can_tell() -> None:
    pair = store(5, people=10, cameras=2, seconds=120.0, dimension=32)
    found = judged(shifted(pair.whole, "camera-00", (1.1, 1.1)), pair)
    assert all(one.doubted and one.alone for one in found.values())
    assert [one.against for one in found.values()] == [(1,), (0,)]


def test_a_camera_that_is_put_right_is_trusted_again() -> None:
    book = Contradictions(SETTINGS, 4)
    assert judged(shifted(shop().whole, "camera-00", (1.5, 0.0)), shop(), book)["camera-00"].doubted
    for _ in range(3):
        found = judged(shop().whole, shop(), book)
    assert not found["camera-00"].doubted


def test_cameras_that_share_no_floor_owe_each_other_nothing() -> None:
    far = shifted(shop().whole, "camera-00", (100.0, 0.0))
    found = judged(far, shop())
    assert (found["camera-00"].owed, found["camera-00"].doubted) == (0.0, False)
    assert np.isnan(found["camera-00"].share)


def test_places_that_are_unknown_or_vague_say_nothing() -> None:
    vague = {name: replace(one, floor_cov_m2=one.floor_cov_m2 + np.eye(2)) for name, one in shop().whole.items()}
    assert {one.owed for one in judged(vague, shop()).values()} == {0.0}


def play(whole: Whole, of: Store, settings: GallerySettings) -> tuple[dict[tuple[str, int], int], list[Alert], Gallery]:
    one = Gallery(settings, "shop", "run", of.views)
    events, alerts = [], list[Alert]()
    for message in in_step([every(10.0, seen, of.end_us) for seen in whole.values()]):
        one.submit(message)
        events += one.advance(LONG_US)
        alerts += one.take_alerts()
    events += one.finish(of.end_us)
    return identities(events), alerts + one.take_alerts(), one


def joined(found: Mapping[tuple[str, int], int], truth: Mapping[tuple[str, int], int], camera: str) -> tuple[int, int]:
    """Pairs of tracklets, one of this camera and one of another, said to be one person: those that are, and not."""
    keys = sorted(truth)
    person = np.array([truth[key] for key in keys])
    said: NDArray[np.int64] = np.array([found[key] for key in keys])
    mine = np.array([key[0] == camera for key in keys])
    one = (said[:, None] == said[None]) & mine[:, None] & ~mine[None]
    same = person[:, None] == person[None]
    return int((one & same).sum()), int((one & ~same).sum())


def test_the_gallery_alerts_and_links_more_people_and_hardly_more_strangers() -> None:
    broken = shifted(shop().whole, "camera-00", (1.06, 1.06))
    found, alerts, one = play(broken, shop(), SETTINGS)
    (alert,) = alerts
    assert (alert.rule_id, alert.state, alert.camera_id) == ("camera_contradicted", "raised", "camera-00")
    assert alert.value < alert.threshold
    assert "camera 'camera-00': contradicts 'camera-0" in alert.message
    words = {seen.camera_id: seen.contradiction for seen in one.live().agreement}
    assert [camera for camera, said in words.items() if said] == ["camera-00"]

    believed, silent, _ = play(broken, shop(), replace(SETTINGS, doubt_share=0.0))
    assert not silent
    truth = shop().truth
    (right, wrong), (right_believed, wrong_believed) = (joined(one, truth, "camera-00") for one in (found, believed))
    assert right > 2 * right_believed
    assert wrong - wrong_believed < 0.1 * (right - right_believed)
    assert wrong < 0.1 * right


def test_restored_in_the_middle_it_says_the_same() -> None:
    broken = shifted(shop().whole, "camera-00", (1.5, 0.0))
    streams = in_step([every(30.0, seen, shop().end_us) for seen in broken.values()])
    alerts, states = [], []
    for cut in (0, 4):
        one = Gallery(SETTINGS, "shop", "run", shop().views)
        said = list[Alert]()
        for number, message in enumerate(streams):
            if cut and number == cut:
                saved = one.state()
                one = Gallery(SETTINGS, "shop", "run", shop().views)
                one.restore(saved)
            one.submit(message)
            one.advance(LONG_US)
            said += one.take_alerts()
        alerts.append(said)
        states.append(one.state())
    assert alerts[0] == alerts[1] != []
    assert states[0] == states[1]
