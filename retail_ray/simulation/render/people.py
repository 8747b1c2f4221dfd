"""Where people are between two ticks of a crowd, and what they are busy with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.simulation.crowd import Activity, Crowd, Person

BLEND_S: Final = 0.35


@dataclass(frozen=True, slots=True)
class PosedPerson:
    """One person at one instant. busy: (6,) float32, shares of the activities around that instant, sum 1.

    They change gradually, so that limbs do not jump. `way_m` drives the walking cycle, `time_s` the swaying.
    """

    person: Person
    xy_m: tuple[float, float]
    heading_rad: float
    speed_mps: float
    way_m: float
    busy: NDArray[np.float32]
    time_s: float

    @staticmethod
    def at(
        person: Person,
        xy_m: tuple[float, float],
        heading_rad: float = 0.0,
        *,
        speed_mps: float = 0.0,
        way_m: float = 0.0,
        activity: Activity = Activity.STAND,
        time_s: float = 0.0,
    ) -> PosedPerson:
        """A person who does one thing only."""
        busy = np.zeros(len(Activity), np.float32)
        busy[activity] = 1
        return PosedPerson(person, xy_m, heading_rad, speed_mps, way_m, busy, time_s)


def people_at(crowd: Crowd, time_s: float) -> list[PosedPerson]:
    """Everybody present at `time_s`, by person id; between ticks, positions go straight and headings the short way.

    Who is at only one of the two ticks around `time_s` is there up to (or from) that tick's half of the interval.
    """
    beat = time_s / crowd.tick_s
    before = min(max(int(np.floor(beat)), 0), max(crowd.ticks - 1, 0))
    share = float(np.clip(beat - before, 0.0, 1.0))
    now, then = _by_id(crowd, before), _by_id(crowd, before + 1)
    people = {person.person_id: person for person in crowd.people}
    busy = _busy_shares(crowd, beat)
    found = []
    for person_id in sorted(now.keys() | then.keys()):
        first, second = now.get(person_id), then.get(person_id)
        if (second is None and share > 0.5) or (first is None and share <= 0.5):
            continue
        a = first if first is not None else second
        b = second if second is not None else first
        assert a is not None
        assert b is not None
        found.append(_between(crowd, people[person_id], (a, b), share, busy=busy[person_id], time_s=time_s))
    return found


def _by_id(crowd: Crowd, tick: int) -> dict[int, int]:
    rows = crowd.rows_at(tick)
    return {int(crowd.person_id[row]): row for row in range(rows.start, rows.stop)}


def _busy_shares(crowd: Crowd, beat: float) -> dict[int, NDArray[np.float32]]:
    reach = BLEND_S / crowd.tick_s
    low, high = np.searchsorted(crowd.tick, [np.floor(beat - reach), np.floor(beat + reach) + 2])
    shares: dict[int, NDArray[np.float32]] = {}
    for row in range(int(low), int(high)):
        weight = max(0.0, 1 - abs(float(crowd.tick[row]) - beat) / (reach + 1))
        person = shares.setdefault(int(crowd.person_id[row]), np.zeros(len(Activity), np.float32))
        person[crowd.activity[row]] += weight
    return {person_id: share / max(float(share.sum()), 1e-9) for person_id, share in shares.items()}


def _between(
    crowd: Crowd, person: Person, rows: tuple[int, int], share: float, *, busy: NDArray[np.float32], time_s: float
) -> PosedPerson:
    a, b = rows
    turn = (float(crowd.heading_rad[b]) - float(crowd.heading_rad[a]) + np.pi) % (2 * np.pi) - np.pi
    xy = crowd.xy_m[a].astype(np.float64) * (1 - share) + crowd.xy_m[b].astype(np.float64) * share
    return PosedPerson(
        person=person,
        xy_m=(float(xy[0]), float(xy[1])),
        heading_rad=float(crowd.heading_rad[a]) + turn * share,
        speed_mps=float(crowd.speed_mps[a]) * (1 - share) + float(crowd.speed_mps[b]) * share,
        way_m=float(crowd.walked_m[a]) * (1 - share) + float(crowd.walked_m[b]) * share,
        busy=busy,
        time_s=time_s,
    )
