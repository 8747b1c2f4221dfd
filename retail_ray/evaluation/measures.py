"""A number with what it was counted over and how sure it is: Wilson for shares, bootstrap for everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError

LEVEL = 0.95
_Z = 1.959963984540054

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Takes (..., N) samples to (...) numbers."""


def _mean(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(samples.mean(axis=-1))


@dataclass(frozen=True, slots=True)
class Measure:
    """One number. value None: not measured, and `why` says why. n: what it was counted over, `of` names it.

    low, high: 95 % interval, None where one scenario cannot give any.
    """

    value: float | None
    n: int = 0
    of: str = ""
    low: float | None = None
    high: float | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        if self.value is None:
            return {"value": None, "not_measured": self.why}
        interval = {} if self.low is None or self.high is None else {"low": _round(self.low), "high": _round(self.high)}
        return {"value": _round(self.value), "n": self.n, "of": self.of} | interval


Section = Mapping[str, "Measure | Section"]
"""Measures by name; sections nest, for example by camera or counting line."""


def not_measured(why: str) -> Measure:
    return Measure(None, why=why)


def share(successes: int, n: int, of: str) -> Measure:
    """A share with its Wilson interval; not measured over nothing."""
    if n == 0:
        return not_measured(f"there are no {of}")
    low, high = wilson(successes, n)
    return Measure(successes / n, n, of, low, high)


def wilson(successes: float, n: float) -> tuple[float, float]:
    """95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927). DataError unless 0 <= successes <= n, n > 0.

    Parts of a success come from weighted samples, whose size is an effective one.
    """
    if not 0 <= successes <= n or n == 0:
        raise DataError(f"wilson: {successes} of {n} is no share")
    p, z2 = successes / n, _Z * _Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * float(np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap(
    values: Sequence[float] | NDArray[np.float64],
    rng: np.random.Generator,
    statistic: Statistic = _mean,
    rounds: int = 1000,
) -> tuple[float, float]:
    """95 % percentile interval of a statistic of independent values, one for each seed or clip.

    DataError without values: with one value the interval is that value.
    """
    sample = np.asarray(values, np.float64)
    if not len(sample):
        raise DataError("bootstrap: no values")
    draws = rng.integers(0, len(sample), (rounds, len(sample)))
    return middle(statistic(sample[draws]))


def middle(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of bootstrap draws."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def estimated(
    values: Sequence[float] | NDArray[np.float64],
    of: str,
    rng: np.random.Generator,
    statistic: Statistic = _mean,
) -> Measure:
    """A statistic of independent values with its bootstrap interval; not measured over nothing."""
    sample = np.asarray(values, np.float64)
    if not len(sample):
        return not_measured(f"there are no {of}")
    low, high = bootstrap(sample, rng, statistic) if len(sample) > 1 else (None, None)
    return Measure(float(statistic(sample)), len(sample), of, low, high)


def median_and_p90(values: Sequence[float] | NDArray[np.float64], of: str, rng: np.random.Generator) -> Section:
    return {
        "median": estimated(values, of, rng, partial(np.median, axis=-1)),
        "p90": estimated(values, of, rng, partial(np.quantile, q=0.9, axis=-1)),
    }


def as_json(section: Section) -> dict[str, Any]:
    """Nested plain values."""
    return {name: item.as_dict() if isinstance(item, Measure) else as_json(item) for name, item in section.items()}


def flat(section: Section, before: str = "") -> dict[str, Measure]:
    """Measures by their dotted names."""
    found: dict[str, Measure] = {}
    for name, item in section.items():
        found |= {before + name: item} if isinstance(item, Measure) else flat(item, f"{before}{name}.")
    return found


def _round(value: float) -> float:
    return round(float(value), 6)
