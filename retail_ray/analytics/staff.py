"""How likely each identity is one of the staff: a sum of readable parts, each never falling with its signal.

Log-odds = bias + weighted signals: time in staff zones, time behind a checkout, presence against a usual visit of the
day, repeat crossings of the door, and likeness to uniforms that the shop enrolled. Weights were fitted on simulated
stores (docs/staff_and_groups.md). A short look at somebody is weak evidence, so early probabilities stay low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.checks import require
from retail_ray.core.errors import DataError
from retail_ray.core.floor_paths import STEP_US, DoorCrossings, FloorPaths
from retail_ray.core.polygons import contains
from retail_ray.core.time import US_PER_S

Floats = NDArray[np.float64]
Corners = Sequence[tuple[float, float]]

STAFF_FROM: Final = 0.5
"""From this probability on somebody is left out of staff-excluded numbers."""

_STEP_S: Final = STEP_US / US_PER_S


@dataclass(frozen=True, slots=True)
class StaffWeights:
    """Log-odds per unit of each part, all 0 or more (DataError), and the bias of somebody without any signal.

    staff_zone, behind_checkout: per doubling of (1 minute + time there). presence: per doubling of a
    usual visit. crossings: per doubling of (2 + crossings beyond coming and going). uniform: per unit of
    log-odds of likeness. crossings was set by hand: simulated staff seldom leaves. Times and counts saturate: see
    `signal_parts`.
    """

    bias: float = -3.8
    staff_zone: float = 2.6
    behind_checkout: float = 3.0
    presence: float = 1.5
    crossings: float = 0.3
    uniform: float = 1.0

    def __post_init__(self) -> None:
        negative = [name for name in PARTS if getattr(self, name) < 0]
        if negative:
            raise DataError(f"StaffWeights.{negative[0]}: weights are 0 or more, or a signal would speak against staff")


PARTS: Final = ("staff_zone", "behind_checkout", "presence", "crossings", "uniform")


@dataclass(frozen=True, slots=True)
class StaffAreas:
    """Polygons on the floor in metres: staff zones, and where cashiers stand behind checkouts."""

    staff_zones_m: tuple[Corners, ...] = ()
    behind_checkouts_m: tuple[Corners, ...] = ()


@dataclass(frozen=True, slots=True)
class UsualVisit:
    """The visit against which presence is measured: the median of the day's visitors, held to a prior while they are
    few. bounce_s: shorter ones are left out. bridged_s: longest time unseen that still counts as presence."""

    prior_s: float = 300.0
    prior_visits: float = 10.0
    bounce_s: float = 60.0
    bridged_s: float = 60.0


@dataclass(frozen=True, slots=True)
class StaffSignals:
    """What is known of identities 0 to I - 1.

    staff_zone_s, behind_checkout_s, presence_s: (I,) float64 seconds. usual_s: seconds of a usual visit.
    crossings: (I,) int64 crossings of door lines, both ways. uniform_log_odds: (I,) float64, 0 where not compared.
    """

    staff_zone_s: Floats
    behind_checkout_s: Floats
    presence_s: Floats
    usual_s: float
    crossings: NDArray[np.int64]
    uniform_log_odds: Floats

    def __post_init__(self) -> None:
        n = len(self.presence_s)
        for name in ("staff_zone_s", "behind_checkout_s", "presence_s", "uniform_log_odds"):
            require(f"StaffSignals.{name}", getattr(self, name), (n,), np.float64)
        require("StaffSignals.crossings", self.crossings, (n,), np.int64)
        if not self.usual_s > 0:
            raise DataError(f"StaffSignals.usual_s: a usual visit lasts longer than {self.usual_s} s")


@dataclass(frozen=True, slots=True)
class StaffAssessment:
    """probability: (I,) float64. parts: name -> (I,) log-odds of each part of PARTS. bias: log-odds without signal.

    The parts of an identity and the bias add up to the log-odds of its probability.
    """

    probability: Floats
    parts: dict[str, Floats]
    bias: float

    def reasons(self, identity: int) -> dict[str, float]:
        """The parts of one identity, the strongest first."""
        of = {name: float(values[identity]) for name, values in self.parts.items()}
        return dict(sorted(of.items(), key=lambda item: (-item[1], item[0])))


def assess_staff(signals: StaffSignals, weights: StaffWeights | None = None) -> StaffAssessment:
    weights = weights or StaffWeights()
    parts = {name: getattr(weights, name) * values for name, values in signal_parts(signals).items()}
    log_odds = weights.bias + sum(parts.values(), np.zeros(len(signals.presence_s)))
    return StaffAssessment(1 / (1 + np.exp(-log_odds)), parts, weights.bias)


def signal_parts(signals: StaffSignals) -> dict[str, Floats]:
    """The parts before weighting, in the order of PARTS.

    Zone and checkout: log2(1 + minutes), at most 4 (15 minutes). Presence: log2 of presence over a usual
    visit, from 0 to 4. Crossings: log2(1 + crossings beyond 2 / 2), at most 2. Uniform: its log-odds.
    """
    beyond = np.maximum(signals.crossings - 2, 0)
    long = np.maximum(signals.presence_s, 1e-9) / signals.usual_s
    return {
        "staff_zone": np.minimum(np.log2(1 + signals.staff_zone_s / 60), 4.0),
        "behind_checkout": np.minimum(np.log2(1 + signals.behind_checkout_s / 60), 4.0),
        "presence": np.clip(np.log2(long), 0.0, 4.0),
        "crossings": np.minimum(np.log2(1 + beyond / 2), 2.0),
        "uniform": signals.uniform_log_odds,
    }


def staff_signals(
    paths: FloorPaths,
    crossings: DoorCrossings,
    identities: int,
    areas: StaffAreas,
    *,
    usual: UsualVisit | None = None,
    uniform_log_odds: Floats | None = None,
) -> StaffSignals:
    """Signals of identities 0 to `identities` - 1 from one day's paths and crossings."""
    usual = usual or UsualVisit()
    presence_s = presence(paths, identities, usual.bridged_s)
    counted = np.bincount(crossings.identity, minlength=identities).astype(np.int64)
    entered = np.zeros(identities, np.bool_)
    entered[crossings.identity[crossings.inwards]] = True
    return StaffSignals(
        seconds_in(paths, identities, areas.staff_zones_m),
        seconds_in(paths, identities, areas.behind_checkouts_m),
        presence_s,
        usual_visit_s(presence_s[entered], usual),
        counted,
        np.zeros(identities) if uniform_log_odds is None else uniform_log_odds,
    )


def seconds_in(paths: FloorPaths, identities: int, areas_m: Sequence[Corners]) -> Floats:
    """(identities,) seconds seen in any of the polygons."""
    inside = np.zeros(len(paths), np.bool_)
    for corners_m in areas_m:
        inside |= contains(np.array(corners_m, np.float64), paths.xy_m)
    return np.asarray(np.bincount(paths.identity[inside], minlength=identities) * _STEP_S, np.float64)


def presence(paths: FloorPaths, identities: int, bridged_s: float) -> Floats:
    """(identities,) seconds seen, with times unseen up to `bridged_s`."""
    seen_s = np.bincount(paths.identity, minlength=identities) * _STEP_S
    gap_s = np.diff(paths.time_us // STEP_US) * _STEP_S - _STEP_S
    bridged = (np.diff(paths.identity) == 0) & (gap_s > 0) & (gap_s <= bridged_s)
    return np.asarray(seen_s + np.bincount(paths.identity[1:][bridged], gap_s[bridged], identities), np.float64)


def usual_visit_s(visits_s: Floats, usual: UsualVisit) -> float:
    """Median of the day's visits, drawn towards the prior as if that were so many visits more."""
    long_s = visits_s[visits_s >= usual.bounce_s]
    n = len(long_s)
    if not n:
        return usual.prior_s
    return float((np.median(long_s) * n + usual.prior_s * usual.prior_visits) / (n + usual.prior_visits))
