"""The floor from above: zones, checkout lanes and counting lines, and where time was spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from retail_ray.analyst.answer import Answer
from retail_ray.analyst.plot_style import BLUE, INK, axes_for, columns_of, finish, nothing
from retail_ray.analyst.store import Corners, Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE: Final = (9.0, 6.0)


def floor_plan(store: Store, axes: Axes | None = None, *, names: bool = True) -> Axes:
    """Zones outlined, lanes as arrows from tail to head, counting lines thick; only what lies on the floor."""
    axes = axes_for(axes, _SIZE)
    for zone in store.zones:
        if zone.corners_m is not None:
            _outline(axes, zone.corners_m, linestyle="--")
            if names:
                _name(axes, zone.corners_m.mean(axis=0), zone.name)
    for lane in store.lanes:
        _outline(axes, lane.service_m, linestyle=":")
        axes.plot(*lane.way_m.T, color=BLUE, linewidth=1.2)
        axes.annotate(
            "", lane.way_m[-1], lane.way_m[-2], arrowprops={"arrowstyle": "-|>", "color": BLUE, "linewidth": 1.2}
        )
        if names:
            _name(axes, lane.service_m.mean(axis=0), lane.id.removeprefix("lane-"), BLUE)
    for line in store.lines:
        if line.on_floor:
            axes.plot(*line.ends.T, color="#d55e00", linewidth=4, solid_capstyle="butt")
            if names:
                _name(axes, line.ends.mean(axis=0), line.id, "#d55e00", below=True)
    axes.set_aspect("equal")
    return finish(axes, f"{store.name}: floor plan", x="x (m)", y="y (m)")


def heat(answer: Answer, axes: Axes | None = None) -> Axes:
    """`lake.heat()` over the floor plan, in person-minutes per square metre; the scale ends at the 99th percentile."""
    axes = axes_for(axes, _SIZE)
    found = columns_of(answer, ("x0_m", "y0_m", "cell_m", "presence_s"), "lake.heat()")
    if not len(answer):
        nothing(axes, "nobody is on record in this interval")
        return finish(axes, f"{answer.store.name}: presence on the floor")
    from matplotlib.colors import PowerNorm

    cell_m = found["cell_m"][0]
    x, y = np.array(found["x0_m"]), np.array(found["y0_m"])
    column, row = (np.rint((values - values.min()) / cell_m).astype(int) for values in (x, y))
    minutes_m2 = np.zeros((row.max() + 1, column.max() + 1))
    np.add.at(minutes_m2, (row, column), np.array(found["presence_s"]) / 60 / cell_m**2)
    most = float(np.quantile(minutes_m2[minutes_m2 > 0], 0.99))
    extent = (x.min(), x.max() + cell_m, y.min(), y.max() + cell_m)
    picture = axes.imshow(
        np.ma.masked_equal(minutes_m2, 0), origin="lower", extent=extent, cmap="YlOrBr", norm=PowerNorm(0.5, 0, most)
    )
    bar = axes.figure.colorbar(picture, ax=axes, extend="max", shrink=0.7)
    bar.set_label("person-minutes per m²")
    floor_plan(answer.store, axes)
    return finish(axes, f"{answer.store.name}: presence on the floor", x="x (m)", y="y (m)")


def _outline(axes: Axes, corners: Corners, linestyle: str) -> None:
    axes.plot(*np.vstack([corners, corners[:1]]).T, color=INK, linewidth=1.0, linestyle=linestyle)


def _name(axes: Axes, at: Corners, text: str, colour: str = INK, *, below: bool = False) -> None:
    from matplotlib.patheffects import withStroke

    axes.annotate(
        text, (at[0], at[1]), xytext=(0, -6 if below else 0), textcoords="offset points", ha="center",
        va="top" if below else "center", fontsize=8, color=colour,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )  # fmt: skip
