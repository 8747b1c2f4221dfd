from __future__ import annotations

import numpy as np
import pytest

from retail_ray.simulation.crowd import Activity, Person
from retail_ray.simulation.render.body import COARSE, FINE, Detail, make_body
from retail_ray.simulation.render.gait import STRIDE, joint_angles
from retail_ray.simulation.render.mesh import Material
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.placing import PlacedBody, place_body
from retail_ray.simulation.render.skeleton import Bone
from retail_ray.simulation.render.view import make_view
from tests.simulation.render_scene import SIZE, STRAIGHT, people

VIEW = make_view(STRAIGHT, *SIZE)


def placed(posed: PosedPerson, detail: Detail = COARSE) -> PlacedBody:
    mesh = make_body(posed.person.appearance, pushes_trolley=posed.person.pushes_trolley, detail=detail)
    return place_body(
        VIEW, None, mesh, posed.person.person_id, joint_angles(posed), xy_m=posed.xy_m, heading_rad=posed.heading_rad
    )


def walking(person: Person, way_m: float) -> PosedPerson:
    return PosedPerson.at(person, (3.0 + way_m, 2.0), speed_mps=1.2, way_m=way_m, activity=Activity.WALK)


@pytest.mark.parametrize("person", people(12, seed=2), ids=lambda person: f"{person.appearance.legs}")
def test_people_stand_on_the_floor_and_are_as_tall_as_they_should_be(person: Person) -> None:
    for activity in Activity:
        body = placed(PosedPerson.at(person, (3.0, 2.0), activity=activity, time_s=2.0))
        own = body.placed[: body.mesh.props_points_from]
        assert own[:, 2].min() == pytest.approx(0.0, abs=0.03)
    upright = placed(PosedPerson.at(person, (3.0, 2.0))).placed
    assert upright[:, 2].max() == pytest.approx(person.appearance.height_m, rel=0.045)
    assert upright[:, :2].mean(axis=0) == pytest.approx((3.0, 2.0), abs=0.2)


def test_no_foot_sinks_or_slides_while_it_bears() -> None:
    person = people(1, seed=5)[0]
    stride_m = STRIDE * person.appearance.height_m
    ways = np.linspace(0, 2 * stride_m, 80)
    ankles = np.array([placed(walking(person, way)).ankles_m for way in ways])
    assert ankles[:, :, 2].min() > 0.02
    speeds = np.diff(ankles[:, :, 0], axis=0) / np.diff(ways)[:, None]
    bearing = ankles[:-1, :, 2] < 0.058 * person.appearance.height_m
    assert bearing.mean() > 0.3
    assert abs(np.median(speeds[bearing])) < 0.3, "a bearing foot stays while the body passes over it"
    assert speeds[~bearing].max() > 1.5


def test_left_and_right_swing_in_turn_and_arms_against_legs() -> None:
    person = people(1, seed=6)[0]
    ways = np.linspace(0, STRIDE * person.appearance.height_m, 40, endpoint=False)
    angles = np.array([joint_angles(walking(person, way))[:, 0] for way in ways])
    legs = angles[:, Bone.LEFT_THIGH], angles[:, Bone.RIGHT_THIGH]
    assert np.corrcoef(*legs)[0, 1] < -0.8
    if person.appearance.bag != "basket":
        assert np.corrcoef(angles[:, Bone.LEFT_ARM], legs[0])[0, 1] < -0.5


@pytest.mark.parametrize("detail", [COARSE, FINE])
def test_every_part_is_closed_and_turned_outwards(detail: Detail) -> None:
    for person in people(10, seed=7):
        mesh = make_body(person.appearance, detail=detail)
        own = mesh.triangles[: mesh.props_from]
        a, b, c = (mesh.points[own[:, k]].astype(np.float64) for k in range(3))
        for material in Material:
            chosen = mesh.material[: mesh.props_from] == material
            if chosen.any():
                volume = np.einsum("ij,ij->i", a[chosen], np.cross(b[chosen], c[chosen])).sum() / 6
                assert volume > 0, material.name
        edges = np.concatenate([own[:, [0, 1]], own[:, [1, 2]], own[:, [2, 0]]])
        there, back = ({tuple(edge) for edge in order.tolist()} for order in (edges, edges[:, ::-1]))
        assert there == back


def test_weights_are_shares_and_normals_have_length_one() -> None:
    mesh = make_body(people(1)[0].appearance)
    assert mesh.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0, abs=1e-4)


def test_what_is_pushed_or_held_comes_after_the_person() -> None:
    person = next(one for one in people(60, seed=8) if one.appearance.bag == "none")
    alone, pushing = make_body(person.appearance), make_body(person.appearance, pushes_trolley=True)
    assert alone.props_from == len(alone.triangles)
    assert pushing.props_from == alone.props_from
    assert len(pushing.triangles) > len(alone.triangles)


def test_hands_are_on_the_trolley() -> None:
    person = Person(1, "shopper", people(1, seed=9)[0].appearance, pushes_trolley=True)
    body = placed(PosedPerson.at(person, (0.0, 0.0), speed_mps=1.0, way_m=3.0))
    handle = body.placed[body.mesh.props_points_from :]
    hands = body.placed[: body.mesh.props_points_from][
        np.isin(body.mesh.bones[: body.mesh.props_points_from, 0], (Bone.LEFT_HAND, Bone.RIGHT_HAND))
    ]
    gaps = np.linalg.norm(hands[:, None] - handle[None], axis=2).min(axis=1)
    assert gaps.min() < 0.12


def test_one_seed_one_body() -> None:
    look = people(1)[0].appearance
    assert (make_body(look).points == make_body(look).points).all()
    assert (make_body(look).normals == make_body(look).normals).all()
