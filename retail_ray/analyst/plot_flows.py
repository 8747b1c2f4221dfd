"""The ways through the store: from zone to zone, visit by visit, as a Sankey diagram."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from retail_ray.analyst.answer import Answer
from retail_ray.analyst.plot_style import INK, PALETTE, QUIET, axes_for, columns_of, finish, nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

END: Final = "visit ends"
OTHER: Final = "other zones"
_WIDTH: Final = 0.16
_GAP_SHARE: Final = 0.03

Flow = tuple[int, str, str]
"""(step, from, to): from the zone of this step to that of the next."""


def step_flows(ways: list[list[str]], steps: int, zones: int) -> Counter[Flow]:
    """How many visits go from which zone to which between step 1 and `steps`; the rarer zones together.

    Returning to the zone just left is no step. A visit that has ended goes to END once; one without zones has no way.
    """
    busiest = [zone for zone, _ in Counter(zone for way in ways for zone in way).most_common(zones)]
    found: Counter[Flow] = Counter()
    for way in ways:
        named = [zone if zone in busiest else OTHER for zone in way]
        stops = [zone for place, zone in enumerate(named) if place == 0 or zone != named[place - 1]]
        for step, zone in enumerate(stops[:steps - 1]):  # fmt: skip
            found[step, zone, stops[step + 1] if step + 1 < len(stops) else END] += 1
    return found


def flows(answer: Answer, axes: Axes | None = None, *, steps: int = 4, zones: int = 6) -> Axes:
    """`lake.journeys()`: heights are visits; columns are the first, second, … zone of a visit."""
    axes = axes_for(axes, (10.0, 5.0))
    ways = columns_of(answer, ("zones",), "lake.journeys()")["zones"]
    found = step_flows([way for way in ways if way], steps, zones)
    started = sum(count for (step, _, _), count in found.items() if step == 0)
    if not started:
        nothing(axes, "no visit with a stay in a zone is on record in this interval")
        return finish(axes, f"{answer.store.name}: ways through the store")
    colours = _colours(found)
    places = _places(found, started)
    _bands(axes, found, places, colours)
    for (step, zone), (low, high) in places.items():
        axes.fill_between([step - _WIDTH / 2, step + _WIDTH / 2], low, high, color=colours[zone], linewidth=0)
        label = zone if zone in (END, OTHER) else answer.store.zone_name(zone)
        axes.annotate(
            f"{label} {high - low:.0f}", (step + _WIDTH / 2, (low + high) / 2), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    last = max(step for step, _ in places)
    axes.set_xlim(-_WIDTH, last + 0.75)
    axes.set_xticks(range(last + 1), [_ordinal(step) for step in range(last + 1)])
    axes.set_yticks([])
    axes.tick_params(length=0)
    finish(axes, f"{answer.store.name}: ways of {started} visits from zone to zone")
    axes.spines[["left", "bottom"]].set_visible(False)
    return axes


def _colours(found: Counter[Flow]) -> dict[str, str]:
    names = sorted({name for _, one, other in found for name in (one, other)} - {END, OTHER})
    colours = {name: PALETTE[number % (len(PALETTE) - 1)] for number, name in enumerate(names)}
    return colours | {END: "#dddddd", OTHER: QUIET}


def _places(found: Counter[Flow], started: int) -> dict[tuple[int, str], tuple[float, float]]:
    """Where each zone of each step stands, from the axis upwards: the end lowest, then the rarest."""
    sizes: Counter[tuple[int, str]] = Counter()
    for (step, one, other), count in found.items():
        if step == 0:
            sizes[0, one] += count
        sizes[step + 1, other] += count
    places, at = dict[tuple[int, str], tuple[float, float]](), Counter[int]()
    for (step, zone), size in sorted(sizes.items(), key=lambda item: (item[0][0], item[0][1] != END, item[1])):
        low = at[step]
        places[step, zone] = low, low + size
        at[step] = low + size + max(1, round(_GAP_SHARE * started))
    return places


def _bands(
    axes: Axes, found: Counter[Flow], places: dict[tuple[int, str], tuple[float, float]], colours: dict[str, str]
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    leave = {place: low for place, (low, _) in places.items()}
    arrive = dict(leave)
    order = sorted(found.items(), key=lambda item: (item[0][0], places[item[0][0] + 1, item[0][2]][0], item[0][1]))
    for (step, one, other), count in order:
        low, to = leave[step, one], arrive[step + 1, other]
        leave[step, one] += count
        arrive[step + 1, other] += count
        left, right, middle = step + _WIDTH / 2, step + 1 - _WIDTH / 2, step + 0.5
        outline = [
            (left, low), (middle, low), (middle, to), (right, to),
            (right, to + count), (middle, to + count), (middle, low + count), (left, low + count), (left, low),
        ]  # fmt: skip
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        axes.add_patch(PathPatch(Path(outline, codes), facecolor=colours[one], alpha=0.35, linewidth=0))
    axes.autoscale_view()


def _ordinal(step: int) -> str:
    return f"{('first', 'second', 'third')[step]} zone" if step < 3 else f"zone {step + 1}"
