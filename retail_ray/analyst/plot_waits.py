"""How long people wait at the checkouts, with those who were still waiting when last seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from retail_ray.analyst.answer import Answer
from retail_ray.analyst.plot_style import INK, PALETTE, axes_for, columns_of, finish, nothing
from retail_ray.analyst.survival import Survival, survival

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE: Final = (9.0, 4.0)


def waits(answer: Answer, axes: Axes | None = None, *, by_lane: bool = False) -> Axes:
    """`lake.queues(by="visit")`: share still waiting against time (Kaplan and Meier), all lanes or each.

    Who gave up or was lost counts as waiting until then, a tick on the curve. The band is the 95 % interval.
    """
    axes = axes_for(axes, _SIZE)
    found = columns_of(answer, ("lane_id", "wait_s", "service_time"), 'lake.queues(by="visit")')
    title = f"{answer.store.name}: waiting for service"
    if not len(answer):
        nothing(axes, "nobody queued in this interval")
        return finish(axes, title)
    lanes = np.array(found["lane_id"], object)
    wait_s = np.array(found["wait_s"], np.float64)
    served = np.array([began is not None for began in found["service_time"]])
    groups = {str(name): lanes == name for name in sorted(set(found["lane_id"]))} if by_lane else {
        "all lanes": np.ones(len(lanes), np.bool_)
    }  # fmt: skip
    longest_s = float(wait_s.max()) or 1.0
    for number, (name, mine) in enumerate(groups.items()):
        curve = survival(wait_s[mine], served[mine])
        label = f"{name}: {int(mine.sum())}, {_median(curve)}"
        _curve(axes, curve, longest_s, label, PALETTE[number % len(PALETTE)], band=not by_lane)
    axes.axhline(0.5, color=INK, linewidth=0.6, linestyle=":")
    axes.plot([], [], "|", color=INK, markersize=8, label="last seen waiting")
    axes.set_ylim(0, 1.04)
    axes.set_xlim(0, longest_s * 1.02)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return finish(axes, title, x="seconds since joining the queue", y="still waiting")


def _curve(axes: Axes, curve: Survival, longest_s: float, label: str, colour: str, *, band: bool) -> None:
    at_s = np.concatenate([[0.0], curve.at_s, [max(longest_s, *curve.at_s[-1:], 0.0)]])
    share, low, high = (np.concatenate([[1.0], part, part[-1:] if len(part) else [1.0]])
                        for part in (curve.share, curve.low, curve.high))  # fmt: skip
    axes.step(at_s, share, where="post", color=colour, linewidth=1.8, label=label)
    if band:
        axes.fill_between(at_s, low, high, step="post", color=colour, alpha=0.18, linewidth=0)
    height = share[np.searchsorted(curve.at_s, curve.cut_s, side="right")]
    axes.plot(curve.cut_s, height, "|", color=colour, markersize=8)


def _median(curve: Survival) -> str:
    median_s = curve.quantile_s(0.5)
    return "median not reached" if median_s is None else f"median {median_s:.3g} s"
