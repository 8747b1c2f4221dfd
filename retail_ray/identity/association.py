"""Who is who: pure functions over a snapshot of tracklets, people and their likeness.

Vetoes come first and cannot be outvoted; then likeness and the floor are added up, and the Hungarian method
deals out people to tracklets, with a column for a new person beside each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retail_ray.core.time import US_PER_S
from retail_ray.identity.settings import GallerySettings
from retail_ray.identity.tracklets import Tracklet

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_IMPOSSIBLE = -1e6


@dataclass(frozen=True, slots=True)
class Spans:
    """Where and when N tracklets were seen.

    camera, first_us, last_us: (N,) int64. first, last: (N, 6) places. trail: (N, TRAIL_TICKS, 6) places;
    trail_tick: (N, TRAIL_TICKS) int64, -1 where empty.
    """

    camera: NDArray[np.int64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    first: Floats
    last: Floats
    trail: Floats
    trail_tick: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.intp]) -> Spans:
        return Spans(
            self.camera[rows],
            self.first_us[rows],
            self.last_us[rows],
            self.first[rows],
            self.last[rows],
            self.trail[rows],
            self.trail_tick[rows],
        )


@dataclass(frozen=True, slots=True)
class Geometry:
    """For T tracklets against M others: veto (T, M): not one person. bonus (T, M) ≥ 0: the floor speaks for it.

    together (T, M): the bonus comes from being seen at the same place by two cameras at once.
    """

    veto: Flags
    bonus: Floats
    together: Flags


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do with one tracklet; `person` is the column of an 'assign'. `unclear` says why it had to wait."""

    kind: Literal["assign", "create", "wait"]
    person: int | None
    score: float
    margin: float
    unclear: str = ""


def spans(tracklets: Sequence[Tracklet]) -> Spans:
    """Snapshot of tracklets as arrays."""
    moments = np.array([(t.camera, t.first_us, t.last_us) for t in tracklets], np.int64).reshape(-1, 3)
    trail = np.array([[place for _, place in t.trail] for t in tracklets], np.float64)
    return Spans(
        moments[:, 0],
        moments[:, 1],
        moments[:, 2],
        np.array([t.first_place for t in tracklets], np.float64).reshape(-1, 6),
        np.array([t.last_place for t in tracklets], np.float64).reshape(-1, 6),
        trail.reshape(len(tracklets), -1, 6),
        np.array([[number for number, _ in t.trail] for t in tracklets], np.int64).reshape(len(tracklets), -1),
    )


def geometry(ours: Spans, others: Spans, settings: GallerySettings) -> Geometry:
    """Judge every pair by time and floor; pairs of which one has no floor point are judged by time alone."""
    same_camera = ours.camera[:, None] == others.camera
    at_once = (ours.first_us[:, None] <= others.last_us) & (others.first_us <= ours.last_us[:, None])
    too_far, agreement = _at_once(ours, others, settings)
    too_fast, closeness = _in_turn(ours, others, settings)
    veto = np.where(at_once, same_camera | too_far, too_fast)
    together = at_once & ~same_camera & (agreement > 0)
    floor = np.where(together, settings.floor_weight * agreement, 0.0)
    stitch = np.where(~at_once & same_camera, settings.stitch_weight * closeness, 0.0)
    return Geometry(veto, np.where(veto, 0.0, floor + stitch), together)


def per_person(geometry: Geometry, person_of: NDArray[np.int64]) -> tuple[NDArray[np.int64], Geometry]:
    """Fold the columns of M tracklets into those of their people: (I,) ascending numbers and (T, I) judgements.

    One veto against any tracklet of a person is a veto; the best bonus counts.
    """
    order = np.argsort(person_of, kind="stable")
    people, starts = np.unique(person_of[order], return_index=True)
    if not len(people):
        empty = np.zeros((len(geometry.veto), 0))
        return people, Geometry(empty.astype(np.bool_), empty, empty.astype(np.bool_))
    return people, Geometry(
        np.logical_or.reduceat(geometry.veto[:, order], starts, axis=1),
        np.maximum.reduceat(geometry.bonus[:, order], starts, axis=1),
        np.logical_or.reduceat(geometry.together[:, order], starts, axis=1),
    )


def likeness(found: tuple[NDArray[np.int64], Floats], people: NDArray[np.int64], described: Flags) -> Floats:
    """(Q, I) best cosine between Q queries and the prototypes of I people, from an index search.

    found: (Q, K) owners and cosines, best first. described: (I,) whether the person has any prototype. NaN for
    those without; who is not among the K neighbours has at most the cosine of the last one, and gets that.
    """
    owners, cosines = found
    best = np.full((len(owners), len(people)), np.nan)
    if not len(people) or not owners.shape[1]:
        return best
    best[:] = np.where(described, cosines[:, -1:], np.nan)
    column = np.searchsorted(people, owners)
    rows = np.broadcast_to(np.arange(len(owners))[:, None], owners.shape)
    np.maximum.at(best, (rows, column), cosines)
    return best


def total_score(cosine: Floats, judged: Geometry, settings: GallerySettings) -> Floats:
    """(T, I) scores; -inf where vetoed or where neither likeness nor floor says anything."""
    unknown = np.isnan(cosine)
    score = np.where(unknown, settings.unknown_appearance, cosine) + judged.bonus
    return np.where(judged.veto | (unknown & (judged.bonus == 0)), -np.inf, score)


def decide(score: Floats, forced: Flags, settings: GallerySettings) -> list[Choice]:
    """One choice for each of T tracklets of one camera against I people, each person at most once.

    forced: (T,) tracklets that have waited long enough: what is still unclear becomes a new person.
    """
    tracklets, people = score.shape
    values = np.full((tracklets, people + tracklets), _IMPOSSIBLE)
    values[:, :people] = np.where(np.isfinite(score), score, _IMPOSSIBLE)
    values[np.arange(tracklets), people + np.arange(tracklets)] = settings.accept
    _, columns = linear_sum_assignment(values, maximize=True)
    return [_choice(score[t], int(columns[t]), bool(forced[t]), settings) for t in range(tracklets)]


def _choice(score: Floats, column: int, forced: bool, settings: GallerySettings) -> Choice:
    best = float(score.max(initial=-np.inf))
    if column >= len(score):
        shown = best if np.isfinite(best) else float("nan")
        if best >= settings.accept and not forced:
            return Choice("wait", None, shown, float("nan"), "taken")
        return Choice("create", None, shown, float("nan"), "taken" if best >= settings.accept else "")
    others = np.delete(score, column)
    lead = float(score[column]) - float(others.max(initial=-np.inf))
    if lead < settings.min_margin:
        return Choice("create" if forced else "wait", None, float(score[column]), lead, "margin")
    return Choice("assign", column, float(score[column]), lead if np.isfinite(lead) else float("nan"))


def _at_once(ours: Spans, others: Spans, settings: GallerySettings) -> tuple[Flags, Floats]:
    """(T, M) whether two cameras place them too far apart, and their agreement in [0, 1]; 0 where not comparable.

    Compared over the ticks that both remember.
    """
    a, b = ours.trail[:, None], others.trail[None]
    offset = b[..., 1:3] - a[..., 1:3]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    limit = settings.agree_m + 2.0 * _deviation(offset, distance, a[..., 3:] + b[..., 3:])
    common = (ours.trail_tick[:, None] == others.trail_tick[None]) & np.isfinite(distance)
    ticks = common.sum(axis=2)
    share = 1.0 / np.maximum(ticks, 1)
    apart = np.where(common, distance, 0.0).sum(axis=2) * share
    allowed = np.where(common, np.minimum(limit, settings.agree_max_m), 0.0).sum(axis=2) * share
    known = (ticks > 0) & (allowed > 0)
    agreement = np.clip(1.0 - apart / np.where(known, allowed, 1.0), 0.0, 1.0)
    return known & (apart > allowed), _rounded(np.where(known, agreement, 0.0))


def _in_turn(ours: Spans, others: Spans, settings: GallerySettings) -> tuple[Flags, Floats]:
    """(T, M) whether the way between the two is too far for its time, and the closeness of a gap in [0, 1]."""
    ours_later = (ours.first_us[:, None] > others.last_us)[..., None]
    begin = np.where(ours_later, ours.first[:, None], others.first[None])
    end = np.where(ours_later, others.last[None], ours.last[:, None])
    gap_s = np.maximum(begin[..., 0] - end[..., 0], 0.0) / US_PER_S
    offset = begin[..., 1:3] - end[..., 1:3]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    slack = settings.reach_slack_m + 2.0 * _deviation(offset, distance, begin[..., 3:] + end[..., 3:])
    too_fast = distance > settings.max_speed_m_s * gap_s + slack
    reach = 0.5 * settings.max_speed_m_s * gap_s + settings.reach_slack_m
    closeness = np.clip(1.0 - distance / np.maximum(reach, 1e-9), 0.0, 1.0)
    near = np.isfinite(distance) & (gap_s <= settings.stitch_gap_s)
    return too_fast, _rounded(np.where(near, closeness, 0.0))


def _rounded(share: Floats) -> Floats:
    return np.asarray(np.round(share, 4), np.float64)


def _deviation(offset: Floats, distance: Floats, covariance: Floats) -> Floats:
    """Standard deviation in metres along an offset (..., 2) under a covariance (..., 3) as xx, xy, yy."""
    safe = np.where(distance > 0, distance, 1.0)
    x, y = offset[..., 0] / safe, offset[..., 1] / safe
    along = x * x * covariance[..., 0] + 2 * x * y * covariance[..., 1] + y * y * covariance[..., 2]
    return np.sqrt(np.maximum(along, 0.0))
