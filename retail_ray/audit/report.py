"""How right the door counts are, from clips that a person counted.

Crossings are matched within clip and direction. Precision and recall have Wilson intervals over the effective sample
size (Kish): clips of different weight tell less than as many of the same. Retail accuracy, 1 - error / (in + out),
lets misses cancel false counts; its interval is a bootstrap over the clips of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retail_ray.audit.folder import Count
from retail_ray.audit.sample import KINDS, Clip
from retail_ray.evaluation.measures import Measure, Section, middle, not_measured, share, wilson

ENOUGH: Final = 20
"""Fewer crossings in the counted clips are too few for a share."""

_ROUNDS: Final = 1000
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Counted:
    """Counted clips of some lines. weight: (N,). system, person: (N, 2) entries and exits. stratum: (N,) of line and
    kind."""

    weight: Floats
    system: Floats
    person: Floats
    stratum: NDArray[np.int64]
    control: NDArray[np.bool_]

    @property
    def matched(self) -> Floats:
        return np.minimum(self.system, self.person)


def report(clips: Sequence[Clip], counts: Sequence[Count]) -> Section:
    """All lines together and each alone; what has too few crossings says so."""
    lines = sorted({clip.line_id for clip in clips})
    whole = {line: _of(_counted([clip for clip in clips if clip.line_id == line], counts)) for line in lines}
    return {"all": _of(_counted(clips, counts))} | whole


def _counted(clips: Sequence[Clip], counts: Sequence[Count]) -> _Counted:
    """The weights count for what was really counted: an audit half done stands for the whole, less surely."""
    found = {count.clip_id: count for count in counts}
    drawn = [(clip.line_id, clip.kind) for clip in clips]
    pairs = [(clip, found[clip.clip_id]) for clip in clips if clip.clip_id in found]
    done = [(clip.line_id, clip.kind) for clip, _ in pairs]
    strata = sorted(set(done))
    larger = {key: drawn.count(key) / done.count(key) for key in strata}
    return _Counted(
        weight=np.array([clip.weight * larger[clip.line_id, clip.kind] for clip, _ in pairs], np.float64),
        system=np.array([(clip.entries, clip.exits) for clip, _ in pairs], np.float64).reshape(-1, 2),
        person=np.array([(count.entries, count.exits) for _, count in pairs], np.float64).reshape(-1, 2),
        stratum=np.array([strata.index(key) for key in done], np.int64),
        control=np.array([clip.kind != KINDS[0] for clip, _ in pairs], np.bool_),
    )  # fmt: skip


def _of(counted: _Counted) -> Section:
    missed = counted.control & (counted.person.sum(axis=1) > 0)
    return {
        "clips": Measure(float(len(counted.weight)), len(counted.weight), "counted clips"),
        "precision": _weighted_share(counted, counted.system, "crossings of the system"),
        "recall": _weighted_share(counted, counted.person, "crossings of the person"),
        "retail_accuracy": _accuracy(counted),
        "controls_with_a_crossing": share(int(missed.sum()), int(counted.control.sum()), "clips without a count"),
    }


def _weighted_share(counted: _Counted, of: Floats, words: str) -> Measure:
    number = int(of.sum())
    if number < ENOUGH:
        return not_measured(f"too few: {number} {words}, {ENOUGH} are needed; count more clips")
    per_clip = of.sum(axis=1)
    total = float((counted.weight * per_clip).sum())
    value = float((counted.weight * counted.matched.sum(axis=1)).sum()) / total
    effective = total**2 / float((counted.weight**2 * per_clip).sum())
    return Measure(value, number, words, *wilson(min(value, 1.0) * effective, effective))


def _accuracy(counted: _Counted) -> Measure:
    number = int(counted.person.sum())
    if number < ENOUGH:
        return not_measured(f"too few: {number} crossings of the person, {ENOUGH} are needed; count more clips")
    drawn = counted.weight * _resampled(counted.stratum)
    low, high = middle(_accuracies(counted, drawn))
    value = float(_accuracies(counted, counted.weight[None, :])[0])
    return Measure(value, number, "crossings of the person", low, high)


def _accuracies(counted: _Counted, weights: Floats) -> Floats:
    """(R,) accuracies under (R, N) weights; draws without a crossing count as the sample does without error."""
    system, person = weights @ counted.system, weights @ counted.person
    true = person.sum(axis=1)
    wrong = np.abs(system - person).sum(axis=1)
    return np.asarray(1 - np.divide(wrong, true, out=np.zeros_like(true), where=true > 0))


def _resampled(stratum: NDArray[np.int64]) -> Floats:
    """(R, N) how often each clip is drawn when each stratum is drawn anew with replacement; the same every time."""
    rng = np.random.default_rng(0)
    times = np.zeros((_ROUNDS, len(stratum)))
    for number in np.unique(stratum).tolist():
        members = np.flatnonzero(stratum == number)
        times[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), _ROUNDS)
    return times
