"""Where people stay longest: local maxima of presence over the squares of a floor (RETAIL: heat)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A square in which more time was spent than in any of its eight neighbours; lower corner, seconds."""

    x0_m: float
    y0_m: float
    presence_s: float


def hotspots(presence_s: Mapping[tuple[float, float], float], cell_m: float, most: int = 10) -> list[Hotspot]:
    """Local maxima of presence by lower corner, the strongest first; of equal neighbours the first one counts."""
    squares = {(round(x / cell_m), round(y / cell_m)): ((x, y), seconds) for (x, y), seconds in presence_s.items()}
    found = []
    for (column, row), (corner, seconds) in squares.items():
        around = [(column + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
        rivals = [(squares[other][1], (-other[0], -other[1])) for other in around if other in squares]
        if seconds > 0 and all((seconds, (-column, -row)) > rival for rival in rivals):
            found.append(Hotspot(*corner, seconds))
    return sorted(found, key=lambda spot: (-spot.presence_s, spot.x0_m, spot.y0_m))[:most]
