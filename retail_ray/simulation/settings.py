"""What happens in a simulated stretch of time: how long, how many come, and how they behave."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.appearance import MOST_TWINS

CONSTANT: tuple[float, ...] = (1.0,) * 24
DAY_SHAPE: tuple[float, ...] = (
    *(0.0,) * 8,
    *(0.45, 0.7, 0.95, 1.2, 1.45, 1.3, 0.95, 0.9, 1.05, 1.45, 1.55, 1.1, 0.65, 0.3),
    *(0.0,) * 2,
)
"""Arrivals by hour of the day against the mean of the opening hours, 8:00 to 22:00: midday and after work."""

_SHARES = (
    "group_share",
    "uturn_share",
    "bounce_share",
    "loiter_share",
    "buyer_share",
    "reentry_share",
    "twin_share",
    "trolley_share",
    "near_door_share",
)
_TIMES = ("service_s", "patience_s", "away_s", "stop_s")


@dataclass(frozen=True, slots=True)
class ScenarioSettings:
    """Times in seconds; shares from 0 to 1; `hour_shape` has a factor for each of the day's 24 hours.

    The first `warm_up_s` are simulated and cut off, with `initial_shoppers` already among the shelves, so that a
    short clip is busy from its first frame. Raises ConfigError for impossible values.
    """

    duration_s: float = 90.0
    tick_s: float = 0.1
    start_hour: float = 12.0
    hour_shape: tuple[float, ...] = CONSTANT
    arrivals_per_hour: float = 120.0
    passers_by_per_hour: float = 150.0
    initial_shoppers: int = 5
    warm_up_s: float = 180.0
    staff: int = 2
    stops_mean: float = 3.5
    stop_s: float = 8.0
    group_share: float = 0.25
    uturn_share: float = 0.06
    bounce_share: float = 0.08
    loiter_share: float = 0.15
    buyer_share: float = 0.75
    reentry_share: float = 0.05
    away_s: float = 240.0
    service_s: float = 18.0
    patience_s: float = 120.0
    near_door_share: float = 0.35
    trolley_share: float = 0.05
    twin_share: float = 0.25

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name != "hour_shape"):
            self._check(name)
        if len(self.hour_shape) != 24 or not all(0.0 <= factor < math.inf for factor in self.hour_shape):
            raise ConfigError(f"scenario: hour_shape needs 24 factors from 0 on, found {self.hour_shape}")
        if self.uturn_share + self.bounce_share > 1.0:
            raise ConfigError("scenario: uturn_share and bounce_share are parts of all visitors; together at most 1")

    @property
    def ticks(self) -> int:
        return round(self.duration_s / self.tick_s)

    @property
    def warm_up_ticks(self) -> int:
        return round(self.warm_up_s / self.tick_s)

    def _check(self, name: str) -> None:
        value = getattr(self, name)
        low, high = _limits(name)
        whole = name in ("initial_shoppers", "staff")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise ConfigError(f"scenario: {name} is a {'whole ' if whole else ''}number, found {value!r}")
        if not low <= value <= high:
            raise ConfigError(f"scenario: {name} is {value}; it must be from {low:g} to {high:g}")


def _limits(name: str) -> tuple[float, float]:
    special = {
        "duration_s": (1.0, 86_400.0),
        "tick_s": (0.02, 0.25),
        "start_hour": (0.0, 24.0),
        "twin_share": (0.2, MOST_TWINS),
        "warm_up_s": (0.0, 7_200.0),
        "initial_shoppers": (0, 500),
        "staff": (0, 100),
        "stops_mean": (0.0, 50.0),
        "arrivals_per_hour": (0.0, 5_000.0),
        "passers_by_per_hour": (0.0, 10_000.0),
    }
    if name in special:
        return special[name]
    return (0.0, 1.0) if name in _SHARES else (0.5, 36_000.0)
