"""Compiled loops over areas and ways, against numpy's own arithmetic: the same numbers to the last bit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.analytics import areas, compiled
from retail_ray.analytics.areas import Polygons, Ways
from retail_ray.core.polygons import contains


def test_where_nothing_may_be_written_it_is_compiled_all_the_same(tmp_path: Path) -> None:
    """A package on a read-only disk, and a user without a home."""
    package = tmp_path / "retail_ray"
    (package / "analytics").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "analytics" / "__init__.py").touch()
    for module in (areas, compiled):
        shutil.copy(Path(str(module.__file__)), package / "analytics")
    (package / "analytics" / "__pycache__").touch()
    ask = (
        "import numpy as np; from retail_ray.analytics.areas import Polygons;"
        "print(Polygons([np.array([[0, 0], [4, 0], [0, 4]])]).inside(np.array([[1.0, 1], [3, 3]])).tolist())"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    command = [sys.executable, "-B", "-c", ask]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[[True], [False]]\n", done.stderr


def star(rng: np.random.Generator, corners: int) -> np.ndarray:
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(1, 10, (corners, 1))


@given(st.integers(0, 10**6), st.lists(st.integers(3, 9), min_size=1, max_size=5))
def test_polygons_of_any_sizes_agree_with_each_of_them(seed: int, corners: list[int]) -> None:
    rng = np.random.default_rng(seed)
    polygons = [star(rng, n) + rng.uniform(-3, 3, 2) for n in corners]
    # Corners and the middles of edges are where rounding would show.
    middles = [(polygon + np.roll(polygon, 1, axis=0)) / 2 for polygon in polygons]
    points = np.concatenate([rng.uniform(-12, 12, (40, 2)), *polygons, *middles, [[np.nan, 0.0], [0.0, np.nan]]])
    found = Polygons(polygons).inside(points)
    assert found.shape == (len(points), len(polygons))
    assert (found == np.stack([contains(polygon, points) for polygon in polygons], axis=1)).all()


def test_no_polygons_and_no_points() -> None:
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
    assert Polygons([]).inside(np.zeros((3, 2))).shape == (3, 0)
    assert Polygons([square]).inside(np.zeros((0, 2))).shape == (0, 1)


def test_a_way_with_a_bend_goes_on_behind_it_and_ends_at_its_ends() -> None:
    ways = Ways([np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]), np.array([[0.0, 0.0], [0.0, 2.0]])])
    points = np.array([[1.0, 0.5], [5.0, 2.0], [-3.0, -4.0], [4.0, 9.0]])
    along_m, aside_m = ways.along_and_aside(points)
    assert ways.length_m.tolist() == [7.0, 2.0]
    assert along_m.tolist() == [[1.0, 0.5], [6.0, 2.0], [0.0, 0.0], [7.0, 2.0]]
    assert aside_m.tolist() == [[0.5, 1.0], [1.0, 5.0], [5.0, 5.0], [6.0, np.hypot(4.0, 7.0)]]
