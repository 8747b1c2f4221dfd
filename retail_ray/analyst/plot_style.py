"""What all pictures share: colours that colour-blind readers tell apart, quiet axes, and words where nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from retail_ray.analyst.answer import Answer
from retail_ray.core.errors import QueryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE: Final = "#0072b2"
ORANGE: Final = "#e69f00"
PALETTE: Final = (BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a900", "#7f7f7f")
"""Okabe and Ito's colours; the yellow is darker, so that it shows on white."""

INK: Final = "#333333"
QUIET: Final = "#777777"
MISSING: Final = "#bbbbbb"


def axes_for(axes: Axes | None, size: tuple[float, float]) -> Axes:
    """The given axes, or those of a new figure of this size in inches."""
    if axes is not None:
        return axes
    from matplotlib import pyplot

    made: Axes = pyplot.subplots(figsize=size, layout="constrained")[1]
    return made


def finish(axes: Axes, title: str, *, x: str = "", y: str = "") -> Axes:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def whole_numbers(axes: Axes) -> None:
    """People come whole: no half ones on the y axis."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def nothing(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, ha="center", va="center", color=QUIET, transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def columns_of(answer: Answer, needed: tuple[str, ...], source: str) -> dict[str, list[Any]]:
    """The needed columns as lists, or QueryError that says which answer this picture is of."""
    missing = [name for name in needed if name not in answer.table.column_names]
    if missing:
        raise QueryError(f"this picture is of {source}; the answer '{answer.title}' has no column {missing[0]!r}")
    return {name: answer.table[name].to_pylist() for name in needed}
