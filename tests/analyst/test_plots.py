"""Pictures: what they draw is what the answers say, and nothing breaks where nothing is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

import retail_ray
from retail_ray import plots
from retail_ray.analyst.opened import StoreLake
from retail_ray.analyst.plot_flows import END, OTHER, step_flows
from retail_ray.core.errors import QueryError
from retail_ray.core.records import CoverageRow
from tests.support.small_lake import TEN_US, site_row, write_lake


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    mpl.use("agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def shop(simulated_shop: Path) -> Iterator[StoreLake]:
    with retail_ray.open(simulated_shop / "lake") as opened:
        yield opened


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[StoreLake]:
    tables: dict[str, Any] = {"sites": [site_row([])], "coverage": [CoverageRow("door", TEN_US, 600, 0, 0, "down")]}
    with retail_ray.open(write_lake(tmp_path / "lake", tables)) as opened:
        yield opened


DRAWN: dict[str, Any] = {
    "arrivals": lambda lake: plots.arrivals(lake.footfall()),
    "occupancy": lambda lake: plots.occupancy(lake.occupancy()),
    "heat": lambda lake: plots.heat(lake.heat()),
    "flows": lambda lake: plots.flows(lake.journeys()),
    "waits": lambda lake: plots.waits(lake.queues(by="visit")),
    "waits by lane": lambda lake: plots.waits(lake.queues(by="visit"), by_lane=True),
    "floor plan": lambda lake: plots.floor_plan(lake.store),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_is_drawn_also_of_nothing(shop: StoreLake, empty: StoreLake, name: str) -> None:
    for lake in (shop, empty):
        axes = DRAWN[name](lake)
        axes.figure.canvas.draw()
        assert lake.store.name in axes.get_title(loc="left")


def test_bars_are_the_entries_and_exits(shop: StoreLake) -> None:
    found = shop.footfall()
    entries, exits = plots.arrivals(found).containers
    assert [bar.get_height() for bar in entries] == found.table["entries"].to_pylist()
    assert [bar.get_height() for bar in exits] == found.table["exits"].to_pylist()


def test_hours_that_were_not_analysed_are_grey(shop: StoreLake) -> None:
    hours = shop.footfall(when=("2026-03-02T08:00", "2026-03-02T13:00"))
    shaded = [patch for patch in plots.arrivals(hours).patches if patch.get_width() == 1]
    assert len(shaded) == sum((share or 0) < 0.95 for share in hours.table["coverage"].to_pylist()) == 5


def test_heat_keeps_every_second(shop: StoreLake) -> None:
    found = shop.heat()
    picture = plots.heat(found).images[0].get_array()
    cell_m = found.table["cell_m"][0].as_py()
    assert float(picture.sum()) * 60 * cell_m**2 == pytest.approx(sum(found.table["presence_s"].to_pylist()))


def test_a_picture_of_the_wrong_answer_says_which_one_it_takes(shop: StoreLake) -> None:
    with pytest.raises(QueryError, match=r"is of lake\.heat\(\); the answer .Alerts. has no column .x0_m."):
        plots.heat(shop.alerts())


def test_ways_from_zone_to_zone() -> None:
    ways = [["a", "b"], ["a", "a", "b", "c"], ["c"], ["rare", "a"]]
    assert step_flows(ways, steps=3, zones=3) == Counter(
        {(0, "a", "b"): 2, (0, "c", END): 1, (0, OTHER, "a"): 1, (1, "b", END): 1, (1, "b", "c"): 1, (1, "a", END): 1}
    )


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), max_size=20), st.integers(2, 5))
def test_nobody_appears_or_vanishes_between_two_steps(ways: list[list[str]], steps: int) -> None:
    found = step_flows(ways, steps, zones=4)
    assert sum(count for (step, _, _), count in found.items() if step == 0) == len(ways)
    for step in range(steps - 2):
        arrived, left = Counter[str](), Counter[str]()
        for (at, one, other), count in found.items():
            if at == step and other != END:
                arrived[other] += count
            if at == step + 1:
                left[one] += count
        assert arrived == left


def test_the_curve_of_waits_ends_where_the_last_wait_is_known(shop: StoreLake) -> None:
    visits = shop.queues(by="visit")
    drawn = plots.waits(visits).lines[0].get_ydata()
    assert drawn[0] == 1.0
    assert (np.diff(drawn) <= 0).all()
