"""Groups: people who came in together and then moved together.

Co-entry alone also joins strangers at a busy door, and nearness alone also joins a queue. So a pair must have entered
within seconds of each other, and what follows decides: time apart speaks against it, time near each other for it, and
near while walking the same way speaks most. Standing near each other is weak evidence and counts up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.floor_paths import STEP_US, DoorCrossings, FloorPaths
from retail_ray.core.time import US_PER_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALONE: Final = -1
_STEP_S: Final = STEP_US / US_PER_S
_VELOCITY_STEPS: Final = 2
_LONGEST_HALF_US: Final = 3 * US_PER_S // 2


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Limits and weights; the weights were fitted on simulated stores (docs/staff_and_groups.md).

    entry_gap_s, entry_distance_m: a pair is looked at when it entered over one line within this time, and was this near
    when the later one entered. near_m: near each other. walking_mps: faster is walking. same_velocity_mps: largest
    difference of velocities that agree. least_together_s: pairs seen together for less are no group.
    bias, near, walking, still: log-odds = bias + near * (share of the common time spent near, 0 to 1)
    + walking * log2(1 + seconds near each other and walking alike / 5)
    + still * log2(1 + seconds near each other and standing, `still_limit_s` at most, / 5).
    accept: least probability of a pair, and least mean over all pairs of two sets of people that become one group.
    """

    entry_gap_s: float = 3.0
    entry_distance_m: float = 4.0
    near_m: float = 2.0
    walking_mps: float = 0.4
    same_velocity_mps: float = 0.6
    least_together_s: float = 10.0
    still_limit_s: float = 20.0
    bias: float = -8.1
    near: float = 4.8
    walking: float = 2.9
    still: float = 0.3
    accept: float = 0.5


@dataclass(frozen=True, slots=True)
class Companions:
    """Pairs that entered together, as parallel arrays; each pair once, the smaller identity first.

    first, second: (P,) int64 identities. entry_gap_s: (P,) the shortest time between their entries. together_s: (P,)
    seconds that both were seen after it. near_s, walking_s, still_s: (P,) of these near each other, near and walking
    alike, near and both standing. probability: (P,) of being one group.
    """

    first: Ints
    second: Ints
    entry_gap_s: Floats
    together_s: Floats
    near_s: Floats
    walking_s: Floats
    still_s: Floats
    probability: Floats

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Groups:
    """group: (I,) int64 number of each identity's group from 0, ALONE where it has none. pairs: what tells so."""

    group: Ints
    pairs: Companions


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """Entries counted as persons, and as groups where each one who came alone is a group of one."""

    persons: int
    groups: int


def find_groups(
    paths: FloorPaths, crossings: DoorCrossings, identities: int, settings: GroupSettings | None = None
) -> Groups:
    """Groups of identities 0 to `identities` - 1."""
    settings = settings or GroupSettings()
    pairs = companions(paths, crossings, settings)
    return Groups(joined(pairs, identities, settings.accept), pairs)


def companions(paths: FloorPaths, crossings: DoorCrossings, settings: GroupSettings) -> Companions:
    """Everybody who entered together, with the evidence and probability of being a group."""
    velocity = velocities(paths)
    found = {}
    for (a, b), (gap_us, since_us) in sorted(_entered_together(crossings, settings).items()):
        evidence = _evidence(paths, velocity, (a, b), since_us, settings)
        if evidence is not None:
            found[a, b] = (gap_us / US_PER_S, *evidence)
    rows = np.array([(*pair, *values) for pair, values in found.items()], np.float64).reshape(-1, 7)
    gap_s, together_s, near_s, walking_s, still_s = rows[:, 2:].T
    probability = pair_probability(together_s, near_s, walking_s, still_s, settings)
    first, second = rows[:, :2].astype(np.int64).T
    return Companions(first, second, gap_s, together_s, near_s, walking_s, still_s, probability)


def pair_probability(
    together_s: Floats, near_s: Floats, walking_s: Floats, still_s: Floats, settings: GroupSettings
) -> Floats:
    """(P,) probability of pairs that entered together; 0 where they were seen together too briefly."""
    features = pair_features(together_s, near_s, walking_s, still_s, settings.still_limit_s)
    log_odds = settings.bias + features @ np.array([settings.near, settings.walking, settings.still])
    return np.where(together_s >= settings.least_together_s, 1 / (1 + np.exp(-log_odds)), 0.0)


def pair_features(together_s: Floats, near_s: Floats, walking_s: Floats, still_s: Floats, limit_s: float) -> Floats:
    """(P, 3): share near, and the logarithms of walking and standing near each other; see GroupSettings."""
    share = near_s / np.maximum(together_s, _STEP_S)
    return np.stack([share, np.log2(1 + walking_s / 5), np.log2(1 + np.minimum(still_s, limit_s) / 5)], axis=1)


def joined(pairs: Companions, identities: int, accept: float) -> Ints:
    """(identities,) group of each: sets of people are joined, the likeliest first, while the mean probability over all
    their pairs is at least `accept`. A pair that was not looked at counts as 0, so that a chain of strangers, each
    likely with the next alone, stays apart.

    Average linkage (Sokal and Michener, Univ. Kansas Sci. Bull. 38, 1958).
    """
    together = {
        (int(a), int(b)): float(p) for a, b, p in zip(pairs.first, pairs.second, pairs.probability, strict=True)
    }
    sets: dict[int, list[int]] = {number: [number] for pair in together for number in pair}

    def mean(a: int, b: int) -> float:
        links = [together.get((min(i, j), max(i, j)), 0.0) for i in sets[a] for j in sets[b]]
        return sum(links) / len(links)

    strength = {pair: p for pair, p in together.items() if p >= accept}
    while strength:
        (a, b), best = max(strength.items(), key=lambda item: (item[1], -item[0][0], -item[0][1]))
        if best < accept:
            break
        sets[a] += sets.pop(b)
        touched = {other for pair in strength for other in pair if {a, b} & set(pair)} - {a, b}
        strength = {pair: p for pair, p in strength.items() if not {a, b} & set(pair)}
        strength |= {(min(a, other), max(a, other)): mean(a, other) for other in touched}
    group = np.full(identities, ALONE, np.int64)
    for number, members in enumerate(some for some in sets.values() if len(some) > 1):
        group[members] = number
    return group


def count_entries(crossings: DoorCrossings, group: Ints, settings: GroupSettings | None = None) -> GroupCounts:
    """Entries over all lines. People of one group who enter within `entry_gap_s` of each other enter as one."""
    gap_us = round((settings or GroupSettings()).entry_gap_s * US_PER_S)
    identity, time_us = crossings.identity[crossings.inwards], crossings.time_us[crossings.inwards]
    of = group[identity]
    alone = int((of == ALONE).sum())
    parties = 0
    for number in np.unique(of[of != ALONE]):
        times = np.sort(time_us[of == number])
        parties += 1 + int((np.diff(times) > gap_us).sum())
    return GroupCounts(len(identity), alone + parties)


def velocities(paths: FloorPaths) -> Floats:
    """(N, 2) metres per second at each row, from the rows up to a second before and after; NaN where there are none."""
    n, rows = len(paths), np.arange(len(paths))
    if not n:
        return np.zeros((0, 2))
    before, after = np.maximum(rows - _VELOCITY_STEPS, 0), np.minimum(rows + _VELOCITY_STEPS, n - 1)
    for _ in range(_VELOCITY_STEPS):
        before = np.where(_far(paths, before, rows), before + 1, before)
        after = np.where(_far(paths, rows, after), after - 1, after)
    elapsed_s = (paths.time_us[after] - paths.time_us[before]) / US_PER_S
    moved_m = paths.xy_m[after] - paths.xy_m[before]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(moved_m / np.where(elapsed_s > 0, elapsed_s, np.nan)[:, None])


def _far(paths: FloorPaths, earlier: Ints, later: Ints) -> NDArray[np.bool_]:
    """Whether two rows are of different identities, or too long apart to make a velocity."""
    apart_us = paths.time_us[later] - paths.time_us[earlier]
    return np.asarray((paths.identity[earlier] != paths.identity[later]) | (apart_us > _LONGEST_HALF_US))


def _entered_together(crossings: DoorCrossings, settings: GroupSettings) -> dict[tuple[int, int], tuple[int, int]]:
    """(gap, time of the later entry) in microseconds for each pair with entries of one line close in time."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    inwards = np.flatnonzero(crossings.inwards)
    order = inwards[np.lexsort((crossings.identity[inwards], crossings.time_us[inwards], crossings.line[inwards]))]
    line, time_us, identity = crossings.line[order], crossings.time_us[order], crossings.identity[order]
    for i in range(len(order)):
        for j in range(i + 1, len(order)):
            gap_us = int(time_us[j] - time_us[i])
            if line[j] != line[i] or gap_us > settings.entry_gap_s * US_PER_S:
                break
            pair = (int(min(identity[i], identity[j])), int(max(identity[i], identity[j])))
            if pair[0] != pair[1] and gap_us < found.get(pair, (np.iinfo(np.int64).max, 0))[0]:
                found[pair] = (gap_us, int(time_us[j]))
    return found


def _evidence(
    paths: FloorPaths, velocity: Floats, pair: tuple[int, int], since_us: int, settings: GroupSettings
) -> tuple[float, float, float, float] | None:
    """Seconds together, near, walking alike and standing after the entry; None where the entry was far apart."""
    rows = [np.arange(part.start, part.stop) for part in (paths.of(pair[0]), paths.of(pair[1]))]
    rows = [row[paths.time_us[row] >= since_us - STEP_US] for row in rows]
    mine, theirs = (paths.time_us[row] // STEP_US for row in rows)
    common, at_a, at_b = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    if not len(common):
        return (0.0, 0.0, 0.0, 0.0)
    a, b = rows[0][at_a], rows[1][at_b]
    distance_m = np.hypot(*(paths.xy_m[a] - paths.xy_m[b]).T)
    at_entry = common * STEP_US <= since_us + 2 * US_PER_S
    if at_entry.any() and distance_m[at_entry].min() > settings.entry_distance_m:
        return None
    with np.errstate(invalid="ignore"):
        speed = np.stack([np.hypot(*velocity[a].T), np.hypot(*velocity[b].T)])
        agree = np.hypot(*(velocity[a] - velocity[b]).T) <= settings.same_velocity_mps
        walk = speed.max(axis=0) >= settings.walking_mps
    near = distance_m <= settings.near_m
    near_s, walking_s, still_s = (float(some.sum()) * _STEP_S for some in (near, near & walk & agree, near & ~walk))
    return len(common) * _STEP_S, near_s, walking_s, still_s
