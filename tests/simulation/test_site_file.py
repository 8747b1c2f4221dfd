"""The site.yaml of a simulated store is one that the product takes, and its calibration is the camera's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from retail_ray.config_file import load_site
from retail_ray.core.errors import GeometryError
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.site_file import door_camera, site_document, write_site
from retail_ray.simulation.store import Door, StorePlan

SIZE_HW = (720, 1280)
START = datetime(2026, 3, 2, 11, 0, 0, 120_000, tzinfo=UTC)


def written(plan: StorePlan, folder: Path) -> Path:
    recordings = {camera.id: (f"clips/{camera.id}.mp4", START) for camera in plan.cameras}
    write_site(folder / "site.yaml", site_document(plan, "sim-store", SIZE_HW, recordings))
    return folder / "site.yaml"


@pytest.mark.parametrize("name", sorted(ready_layouts()))
def test_the_product_takes_it_with_all_parts(name: str, tmp_path: Path) -> None:
    plan = ready_layouts()[name]
    site = load_site(written(plan, tmp_path))
    assert site.simulated
    assert [camera.id for camera in site.cameras] == [camera.id for camera in plan.cameras]
    assert {line.id for line in site.lines} == {door.id for door in plan.doors}
    assert {zone.id for zone in site.zones} == {zone.id for zone in plan.zones}
    assert {lane.id for lane in site.queues} == {lane.id for lane in plan.checkouts}
    assert site.cameras[0].recorded_at == START


@pytest.mark.parametrize("name", sorted(ready_layouts()))
def test_calibration_maps_pixels_to_the_floor_they_show(name: str, tmp_path: Path) -> None:
    plan = ready_layouts()[name]
    site = load_site(written(plan, tmp_path))
    for camera, configured in zip(plan.cameras, site.cameras, strict=True):
        assert configured.floor is not None
        floor = configured.floor.calibration(SIZE_HW)
        spots_m = np.array([[*camera.look_at_m[:2]], [camera.look_at_m[0] + 0.3, camera.look_at_m[1] - 0.2]])
        # A pinhole with Brown-Conrady distortion, written out once more.
        matrix = camera.matrix(SIZE_HW[1], SIZE_HW[0])
        seen = np.column_stack([spots_m, np.zeros(2)]) @ camera.rotation().T + camera.translation_m()
        x, y = (seen[:, :2] / seen[:, 2:]).T
        k1, k2, p1, p2, k3 = camera.distortion
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u = matrix[0, 0] * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + matrix[0, 2]
        v = matrix[1, 1] * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + matrix[1, 2]
        assert floor.to_floor(np.column_stack([u, v])) == pytest.approx(spots_m, abs=0.01)


@pytest.mark.parametrize("name", sorted(ready_layouts()))
def test_the_inside_of_the_line_is_the_shop(name: str, tmp_path: Path) -> None:
    plan = ready_layouts()[name]
    for line in load_site(written(plan, tmp_path)).lines:
        assert line.inside_m is not None
        x0, y0, x1, y1 = plan.shop_m
        assert x0 <= line.inside_m[0] <= x1
        assert y0 <= line.inside_m[1] <= y1


def test_a_door_that_no_camera_sees_is_refused() -> None:
    plan = ready_layouts()["convenience"]
    hidden = Door("back", (500.0, 500.0), (501.0, 500.0), (500.5, 501.0))
    with pytest.raises(GeometryError, match="no camera sees the whole door 'back'"):
        door_camera(plan, hidden, SIZE_HW)
