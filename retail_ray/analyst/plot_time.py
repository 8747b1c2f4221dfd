"""Arrivals and people inside over time, with what was not analysed in sight."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from retail_ray.analyst.answer import ENOUGH, Answer
from retail_ray.analyst.plot_style import BLUE, MISSING, ORANGE, axes_for, columns_of, finish, nothing, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE: Final = (9.0, 3.4)
_TICKS: Final = 12


def arrivals(answer: Answer, axes: Axes | None = None) -> Axes:
    """`lake.footfall(by="hour")` (or minute, day): entries and exits; grey where less than 95 % was analysed, the
    darker the more is missing."""
    axes = axes_for(axes, _SIZE)
    needed = ("start", "end", "entries", "exits", "coverage")
    found = columns_of(answer, needed, 'lake.footfall(by="hour"), "minute" or "day"')
    places = range(len(answer))
    for place, share in zip(places, found["coverage"], strict=True):
        if (share or 0.0) < ENOUGH:
            axes.axvspan(place - 0.5, place + 0.5, color=MISSING, alpha=0.15 + 0.6 * (1 - (share or 0.0)), linewidth=0)
    axes.bar([place - 0.2 for place in places], found["entries"], 0.4, label="entries", color=BLUE)
    axes.bar([place + 0.2 for place in places], found["exits"], 0.4, label="exits", color=ORANGE)
    every = max(1, -(-len(answer) // _TICKS))
    axes.set_xticks(list(places)[::every], _labels(found["start"], found["end"])[::every])
    margin = max(0.5, 3 - len(answer) / 2)  # one bar alone is no wall
    axes.set_xlim(-margin, max(len(answer) - 1, 0) + margin)
    axes.set_ylim(bottom=0)
    whole_numbers(axes)
    if any((share or 0.0) < ENOUGH for share in found["coverage"]):
        axes.fill_between([], [], color=MISSING, label="not fully analysed")
    _legend(axes)
    return finish(axes, f"{answer.store.name}: {answer.title.lower()}", x=answer.store.timezone, y="people")


def occupancy(answer: Answer, axes: Axes | None = None) -> Axes:
    """`lake.occupancy()`: people inside; grey where no minute is on record."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    axes = axes_for(axes, _SIZE)
    found = columns_of(answer, ("time", "inside"), "lake.occupancy()")
    title = f"{answer.store.name}: people inside"
    if not len(answer):
        nothing(axes, "no minute is on record in this interval")
        return finish(axes, title)
    gaps = [(one, other) for one, other in pairwise(found["time"]) if (other - one).total_seconds() > 60]
    for one, other in gaps:
        axes.axvspan(*date2num([one, other]), color=MISSING, alpha=0.5, linewidth=0)
    broken = {other for _, other in gaps}
    times, inside = list[datetime](), list[float]()
    for time, people in zip(found["time"], found["inside"], strict=True):
        if time in broken:
            times.append(time)
            inside.append(float("nan"))
        times.append(time)
        inside.append(people)
    days = date2num(times)
    axes.plot(days, inside, color=BLUE, linewidth=1.3, drawstyle="steps-post", label="people inside")
    axes.fill_between(days, inside, step="post", color=BLUE, alpha=0.15, linewidth=0)
    if gaps:
        axes.fill_between([], [], color=MISSING, alpha=0.5, label="not on record")
        _legend(axes)
    locator = AutoDateLocator(tz=found["time"][0].tzinfo)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=found["time"][0].tzinfo))
    whole_numbers(axes)
    axes.margins(x=0)
    return finish(axes, title, x=answer.store.timezone, y="people")


def _labels(starts: list[datetime], ends: list[datetime]) -> list[str]:
    """The hour, with the day where it changes; the day alone for days."""
    if starts and all((end - start).total_seconds() > 12 * 3600 for start, end in zip(starts, ends, strict=True)):
        return [f"{start:%d %b}" for start in starts]
    labels, shown = [], None
    for start in starts:
        labels.append(f"{start:%H:%M}" if start.date() == shown else f"{start:%H:%M}\n{start:%d %b}")
        shown = start.date()
    return labels


def _legend(axes: Axes) -> None:
    handles = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1].startswith("not "))
    axes.legend(*zip(*handles, strict=True), frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
