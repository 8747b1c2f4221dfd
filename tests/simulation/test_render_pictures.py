from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from retail_ray.core.errors import DataError, ModelError
from retail_ray.core.homography import from_camera
from retail_ray.simulation.crowd import Activity, Person
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.renderer import Picture, Renderer, WholeBody, make_renderer
from retail_ray.simulation.store import Decoy, StoreCamera
from tests.simulation.render_scene import BENT, CAMERAS, HIGH_SHELF, SIZE, STRAIGHT, people, plan, standing

BODIES = people(8, seed=11)
PLAIN = [replace(person, appearance=replace(person.appearance, bag="none")) for person in BODIES]


def renderer(*decoys: Decoy, everybody: Sequence[Person] = PLAIN) -> Renderer:
    return make_renderer(plan(*decoys), *SIZE, everybody, prefer="software")


@pytest.fixture(scope="module")
def software() -> Renderer:
    return renderer()


def shown(picture: Picture, person: Person) -> NDArray[np.bool_]:
    return np.asarray(picture.ids == person.person_id)


def whole(drawing: Renderer, camera: StoreCamera, posed: PosedPerson) -> WholeBody:
    body = drawing.whole_bodies(camera, [posed])[0]
    assert body is not None
    return body


@pytest.mark.parametrize("camera", CAMERAS)
def test_an_unhidden_person_is_seen_whole(software: Renderer, camera: StoreCamera) -> None:
    posed = standing(PLAIN[0], 4.4, 4.0)
    mask = shown(software.draw(camera, [posed]), PLAIN[0])
    body = whole(software, camera, posed)
    assert mask.sum() > 300
    assert (mask == body.mask((SIZE[1], SIZE[0]))).all()
    assert body.pixels == mask.sum()
    assert software.draw(camera, [posed]).people() == {1}
    rows, columns = np.nonzero(mask)
    assert body.box_px.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("camera", CAMERAS)
def test_between_the_feet_is_where_the_person_stands(software: Renderer, camera: StoreCamera) -> None:
    calibration = from_camera(
        camera.matrix(*SIZE), camera.rotation(), camera.translation_m(), np.array(camera.distortion)
    )
    for xy in ((4.2, 3.4), (4.5, 4.4), (4.4, 5.0)):
        posed = standing(PLAIN[1], *xy, heading_deg=30)
        expected = calibration.to_pixels(np.array([xy]))[0]
        rows, columns = np.nonzero(shown(software.draw(camera, [posed]), PLAIN[1]))
        lowest = rows > rows.max() - 0.08 * (rows.max() - rows.min())
        assert columns[lowest].mean() == pytest.approx(expected[0], abs=0.1 * (rows.max() - rows.min()))
        assert rows.max() == pytest.approx(expected[1], abs=0.09 * (rows.max() - rows.min()))


def test_behind_a_high_shelf_nobody_is_seen(software: Renderer) -> None:
    posed = standing(PLAIN[0], HIGH_SHELF.area_m[2] + 0.45, 2.0)
    assert not shown(software.draw(STRAIGHT, [posed]), PLAIN[0]).any()
    assert whole(software, STRAIGHT, posed).pixels > 100


def test_behind_a_low_shelf_the_legs_are_hidden(software: Renderer) -> None:
    posed = standing(PLAIN[0], 5.9, 6.0)
    mask = shown(software.draw(STRAIGHT, [posed]), PLAIN[0])
    body = whole(software, STRAIGHT, posed)
    full = body.mask((SIZE[1], SIZE[0]))
    assert not (mask & ~full).any()
    assert 0.3 < mask.sum() / body.pixels < 0.85
    assert np.nonzero(mask)[0].max() < np.nonzero(full)[0].max() - 5, "feet are behind the shelf"
    assert np.nonzero(mask)[0].min() == np.nonzero(full)[0].min(), "the head is above it"


def test_the_nearer_person_hides_the_other_whatever_the_order(software: Renderer) -> None:
    near, far = standing(PLAIN[0], 3.0, 4.0), standing(PLAIN[1], 4.2, 4.05)
    first, second = software.draw(STRAIGHT, [near, far]), software.draw(STRAIGHT, [far, near])
    assert (first.ids == second.ids).all()
    full = whole(software, STRAIGHT, near).mask((SIZE[1], SIZE[0]))
    assert (shown(first, PLAIN[0]) == full).all()
    hidden = whole(software, STRAIGHT, far).mask((SIZE[1], SIZE[0])) & ~shown(first, PLAIN[1])
    assert hidden.sum() > 50
    assert not (hidden & ~full).any(), "only what is behind the nearer one is hidden"


def test_beyond_the_frame_the_whole_body_still_counts(software: Renderer) -> None:
    posed = standing(PLAIN[0], 1.9, 4.0)
    mask = shown(software.draw(STRAIGHT, [posed]), PLAIN[0])
    body = whole(software, STRAIGHT, posed)
    assert mask[-1].any(), "cut off by the lower edge"
    assert body.box_px[3] > SIZE[1] + 20
    assert mask.sum() < 0.9 * body.pixels
    wider = replace(STRAIGHT, horizontal_fov_deg=150.0)
    again = whole(make_renderer(plan(), *SIZE, PLAIN, prefer="software"), wider, posed)
    scale = np.tan(np.radians(75)) / np.tan(np.radians(39))
    assert again.pixels * scale**2 == pytest.approx(body.pixels, rel=0.08)


def test_behind_the_camera_there_is_no_body(software: Renderer) -> None:
    posed = standing(PLAIN[0], -3.0, 4.0)
    assert software.whole_bodies(STRAIGHT, [posed]) == [None]
    assert not software.draw(STRAIGHT, [posed]).ids.any()


def test_bags_are_the_person_and_what_is_pushed_is_nobody() -> None:
    look = replace(PLAIN[0].appearance, bag="none")
    persons = [
        Person(1, "shopper", look),
        Person(2, "shopper", replace(look, bag="backpack")),
        Person(3, "shopper", look, pushes_trolley=True),
        Person(4, "shopper", replace(look, bag="basket")),
    ]
    drawing = renderer(everybody=persons)
    counts, changed = [], []
    for person in persons:
        posed = standing(person, 3.5, 4.0, heading_deg=0 if person.person_id == 2 else 90)
        picture = drawing.draw(STRAIGHT, [posed])
        empty = drawing.draw(STRAIGHT, [])
        counts.append(int(shown(picture, person).sum()))
        changed.append(int(((picture.image != empty.image).any(axis=2) & (picture.ids == 0)).sum()))
    alone = int(shown(drawing.draw(STRAIGHT, [standing(persons[0], 3.5, 4.0, 0)]), persons[0]).sum())
    assert counts[1] >= alone
    assert changed[2] > changed[0] + 100, "the trolley is drawn and belongs to nobody"
    assert changed[3] > changed[0] + 40, "so does the basket"


def test_decoys_and_reflections_are_nobody() -> None:
    mirror = Decoy("mirror", (4.4, 7.95), -np.pi / 2)
    posed = [standing(PLAIN[0], 6.5, 4.0, 0.0)]
    empty, full = renderer(mirror).draw(BENT, []), renderer(mirror).draw(BENT, posed)
    other = (empty.image.astype(int) - full.image).any(axis=2) & (full.ids == 0)
    left = np.nonzero(full.ids)[1].min() - 40
    assert other[:, :left].sum() > 20, "the person is also seen in the mirror"
    standing_there = (Decoy("mannequin", (3.5, 4.0), np.pi), Decoy("trolley", (4.0, 4.8), 1.0))
    decoys = (*standing_there, Decoy("poster", (9.95, 4.0), np.pi))
    crowded = renderer(*decoys).draw(STRAIGHT, [])
    assert not crowded.ids.any()
    assert ((crowded.image.astype(int) - renderer().draw(STRAIGHT, []).image) != 0).any(axis=2).sum() > 500


def test_a_mannequin_hides_who_stands_behind_it() -> None:
    posed = [standing(PLAIN[0], 4.1, 4.0)]
    hidden = shown(renderer(Decoy("mannequin", (3.3, 4.0), np.pi)).draw(STRAIGHT, posed), PLAIN[0]).sum()
    assert hidden < 0.8 * shown(renderer().draw(STRAIGHT, posed), PLAIN[0]).sum()


def test_people_throw_a_shadow_on_the_floor(software: Renderer) -> None:
    empty, picture = software.draw(STRAIGHT, []), software.draw(STRAIGHT, [standing(PLAIN[0], 3.5, 4.0)])
    ground = picture.ids == 0
    darker = empty.image.astype(int).sum(axis=2) - picture.image.astype(int).sum(axis=2)
    assert (darker[ground] >= 0).all()
    assert (darker[ground] > 20).sum() > 40


def test_same_input_same_bytes_and_the_background_is_left_alone(software: Renderer) -> None:
    posed = [standing(one, 2.5 + 0.7 * i, 3.4 + 0.15 * i, 60.0 * i) for i, one in enumerate(PLAIN)]
    before = software.draw(BENT, []).image
    first, other = software.draw(BENT, posed), renderer().draw(BENT, posed)
    assert (first.image == other.image).all()
    assert (first.ids == other.ids).all()
    assert (software.draw(BENT, []).image == before).all()


def test_impossible_orders_are_refused(software: Renderer) -> None:
    with pytest.raises(DataError, match="person 99"):
        software.draw(STRAIGHT, [standing(Person(99, "shopper", PLAIN[0].appearance), 3.5, 4.0)])
    with pytest.raises(DataError, match="70000"):
        renderer(everybody=[Person(70000, "shopper", PLAIN[0].appearance)])
    with pytest.raises(DataError, match="too small"):
        make_renderer(plan(), 4, 4, PLAIN, prefer="software")


@pytest.fixture(scope="module")
def gl() -> Renderer:
    try:
        return make_renderer(plan(), *SIZE, BODIES, prefer="gl")
    except ModelError as error:
        pytest.skip(f"no OpenGL here: {error}")


@pytest.mark.parametrize("camera", CAMERAS)
def test_opengl_and_software_draw_the_same(gl: Renderer, camera: StoreCamera) -> None:
    activities = list(Activity)
    posed = [
        PosedPerson.at(one, (2.6 + 0.6 * i, 3.1 + 0.3 * i), 0.8 * i, speed_mps=float(i % 2), way_m=0.3 * i,
                       activity=activities[i % len(activities)], time_s=2.0)
        for i, one in enumerate(BODIES)
    ]  # fmt: skip
    drawn, expected = gl.draw(camera, posed), renderer(everybody=BODIES).draw(camera, posed)
    assert len(np.unique(expected.ids)) >= 6
    for person in BODIES:
        a, b = shown(drawn, person), shown(expected, person)
        if b.sum() > 40:
            assert (a & b).sum() / (a | b).sum() > 0.97
            for ours, theirs in zip(np.nonzero(a), np.nonzero(b), strict=True):
                assert abs(ours.min() - theirs.min()) <= 2
                assert abs(ours.max() - theirs.max()) <= 2
    difference = np.abs(drawn.image.astype(int) - expected.image)
    assert (difference.max(axis=2) > 12).mean() < 0.004
