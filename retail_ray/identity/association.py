"""Who is who: pure functions over a snapshot of evidence between tracklets.

Evidence is folded over the tracklets of a person: the floor as a sum over the root of their number, what speaks for and
what speaks against each for itself, since one wrong foot errs before all of them; looks as a mean, the way between
two sightings where they are nearest in time. A veto cannot be outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retail_ray.identity.evidence import Flags, Floats, needed_nats, tempered
from retail_ray.identity.settings import GallerySettings

_IMPOSSIBLE = -1e6
_MORE_LOOKS, _MOST_LOOKS = 0.15, 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """T tracklets against N, of which they may be a part; a tracklet says nothing about itself.

    veto: (T, N) not one person. floor, way: (T, N) nats. gap_s: (T, N), 0 where at once. looks: (T, N) nats, NaN
    where unknown. first_us: (T,) and (N,) int64. birth: (T,) and (N,) nats saved when it is nobody new.
    """

    veto: Flags
    floor: Floats
    looks: Floats
    gap_s: Floats
    way: Floats
    first_us: tuple[NDArray[np.int64], NDArray[np.int64]]
    birth: tuple[Floats, Floats]

    def of_rows(self, rows: NDArray[np.intp]) -> Evidence:
        """Of some of the T tracklets."""
        return Evidence(
            self.veto[rows],
            self.floor[rows],
            self.looks[rows],
            self.gap_s[rows],
            self.way[rows],
            (self.first_us[0][rows], self.first_us[1]),
            (self.birth[0][rows], self.birth[1]),
        )


@dataclass(frozen=True, slots=True)
class Folded:
    """T tracklets, or people, against P people: the parts of `Evidence`, folded over the tracklets of each person.

    floor: (2, T, P) sums of what speaks for and against. placed: (2, T, P) of how many. looks, described: sums and
    numbers of known looks.
    """

    veto: Flags
    floor: Floats
    placed: Floats
    looks: Floats
    described: Floats
    gap_s: Floats
    way: Floats
    first_us: tuple[NDArray[np.int64], NDArray[np.int64]]
    birth: tuple[Floats, Floats]

    def score(self) -> Floats:
        """(T, P) nats for being this person; -inf where vetoed."""
        mean = np.divide(self.looks, self.described, out=np.zeros_like(self.looks), where=self.described > 0)
        more = 1.0 + _MORE_LOOKS * (np.clip(self.described, 1, _MOST_LOOKS) - 1)
        later = self.first_us[0][:, None] >= self.first_us[1][None]
        saved = np.where(later, self.birth[0][:, None], self.birth[1][None])
        total = self.said_by_floor() + mean * more + self.way + saved
        return np.where(self.veto, -np.inf, np.round(total, 4))

    def said_by_floor(self) -> Floats:
        """(T, P) nats."""
        return np.asarray((self.floor / np.sqrt(np.maximum(self.placed, 1.0))).sum(axis=0))

    def spoken(self) -> Flags:
        """(T, P) whether anything but the time speaks at all."""
        return np.asarray(self.placed.any(axis=0) | (self.described > 0) | (self.way != 0))


def fold(evidence: Evidence, person_of: NDArray[np.int64]) -> tuple[NDArray[np.int64], Folded]:
    """Fold the N columns into people: (P,) ascending numbers, and T tracklets against them. -1 is nobody's."""
    order = np.argsort(person_of, kind="stable")
    order = order[person_of[order] >= 0]
    people, starts = np.unique(person_of[order], return_index=True)
    return people, _folded(_columns(evidence), order, starts)


def between(folded: Folded, person_of_rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Folded]:
    """Fold the T rows as well: people against people."""
    order = np.argsort(person_of_rows, kind="stable")
    order = order[person_of_rows[order] >= 0]
    people, starts = np.unique(person_of_rows[order], return_index=True)
    return people, _transposed(_folded(_transposed(folded), order, starts))


def _columns(evidence: Evidence) -> Folded:
    """Every column a person of its own."""
    parts = np.stack([np.maximum(evidence.floor, 0.0), np.minimum(evidence.floor, 0.0)])
    described = np.isfinite(evidence.looks)
    return Folded(
        evidence.veto,
        parts,
        (parts != 0).astype(np.float64),
        np.where(described, evidence.looks, 0.0),
        described.astype(np.float64),
        evidence.gap_s,
        evidence.way,
        evidence.first_us,
        evidence.birth,
    )


def _transposed(folded: Folded) -> Folded:
    return Folded(
        folded.veto.T,
        folded.floor.transpose(0, 2, 1),
        folded.placed.transpose(0, 2, 1),
        folded.looks.T,
        folded.described.T,
        folded.gap_s.T,
        folded.way.T,
        folded.first_us[::-1],
        folded.birth[::-1],
    )


def _folded(parts: Folded, order: NDArray[np.intp], starts: NDArray[np.intp]) -> Folded:
    """Columns in `order` joined into people who begin at `starts`."""
    height = len(parts.veto)
    if not len(starts):
        nothing, none = np.zeros((height, 0)), np.zeros((height, 0), np.bool_)
        halves = np.zeros((2, height, 0))
        ends = (parts.first_us[0], np.zeros(0, np.int64)), (parts.birth[0], np.zeros(0))
        return Folded(none, halves, halves, nothing, nothing, nothing, nothing, *ends)
    sizes = np.diff([*starts.tolist(), len(order)])
    gap_s = parts.gap_s[:, order]
    nearest = np.minimum.reduceat(gap_s, starts, axis=1)
    at_nearest = gap_s == np.repeat(nearest, sizes, axis=1)
    way = np.maximum.reduceat(np.where(at_nearest, parts.way[:, order], -np.inf), starts, axis=1)
    first_us = parts.first_us[1][order]
    earliest = np.minimum.reduceat(first_us, starts)
    is_first = first_us == np.repeat(earliest, sizes)
    birth = np.maximum.reduceat(np.where(is_first, parts.birth[1][order], -np.inf), starts)
    return Folded(
        np.logical_or.reduceat(parts.veto[:, order], starts, axis=1),
        np.add.reduceat(parts.floor[:, :, order], starts, axis=2),
        np.add.reduceat(parts.placed[:, :, order], starts, axis=2),
        np.add.reduceat(parts.looks[:, order], starts, axis=1),
        np.add.reduceat(parts.described[:, order], starts, axis=1),
        nearest,
        way,
        (parts.first_us[0], earliest),
        (parts.birth[0], birth),
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do with one tracklet; `person` is the column of an 'assign'. `unclear` says why it had to wait.

    score: nats for the person, or for the best one that was not enough. margin: lead in nats over the next best.
    p_same: probability of the link made, or of nobody known, against everybody else who could be meant.
    """

    kind: Literal["assign", "create", "wait"]
    person: int | None
    score: float
    margin: float
    p_same: float
    unclear: str = ""


def decide(score: Floats, nobody: Floats, forced: Flags, settings: GallerySettings) -> list[Choice]:
    """One choice for each of T tracklets of one camera against P people, each person at most once.

    nobody: (T,) nats for somebody new before any evidence; they tell probabilities and do not decide. forced: (T,)
    tracklets that have waited long enough: they take what is likeliest.
    """
    tracklets, people = score.shape
    needed = needed_nats(settings.false_merge_budget)
    values = np.full((tracklets, people + tracklets), _IMPOSSIBLE)
    values[:, :people] = np.where(np.isfinite(score), score, _IMPOSSIBLE)
    values[np.arange(tracklets), people + np.arange(tracklets)] = needed
    _, columns = linear_sum_assignment(values, maximize=True)
    return [
        _choice(score[t], float(nobody[t]), int(columns[t]), forced=bool(forced[t]), needed=needed, settings=settings)
        for t in range(tracklets)
    ]


def shares(folded: Folded, rows: NDArray[np.intp]) -> Floats:
    """(R, P) probability that these tracklets are each person rather than another one or nobody known."""
    score = np.where(folded.spoken(), folded.score(), -np.inf)[rows]
    odds = np.exp(np.clip(score, -700.0, 60.0))
    return np.asarray(odds / (1.0 + odds.sum(axis=1, keepdims=True)))


def _choice(
    score: Floats, nobody: float, column: int, *, forced: bool, needed: float, settings: GallerySettings
) -> Choice:
    best = float(score.max(initial=-np.inf))
    likelihood = np.exp(np.clip([*score.tolist(), nobody], -700.0, 60.0))
    share = likelihood / likelihood.sum()
    p_new = float(share[-1])
    if column >= len(score):
        shown = best if np.isfinite(best) else float("nan")
        margin = needed - best if np.isfinite(best) else float("nan")
        if not forced and margin < settings.min_margin:
            return Choice("wait", None, shown, margin, p_new, "taken" if best >= needed else "margin")
        return Choice("create", None, shown, margin, p_new, "taken" if best >= needed else "")
    others = np.delete(score, column)
    lead = float(score[column]) - max(float(others.max(initial=-np.inf)), needed)
    p_same = float(tempered(share, settings.evidence_worth)[column])
    unclear = "margin" if lead < settings.min_margin else ""
    if unclear and not forced:
        return Choice("wait", None, float(score[column]), lead, p_same, unclear)
    return Choice("assign", column, float(score[column]), lead, p_same, unclear)
