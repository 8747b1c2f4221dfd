"""Which tracklets belong together: links between tracklets, false merges and false splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.evaluation.box_matching import UNMATCHED
from retail_ray.evaluation.measures import Measure, Section, not_measured, share
from retail_ray.evaluation.scene import Ints, Scene
from retail_ray.lake.scored_rows import NOBODY

PURE_SHARE = 0.9
# A tracklet most of whose boxes fit nobody follows something else than a person.
_FEWEST_MATCHED = 0.5


@dataclass(frozen=True, slots=True)
class TrackletPeople:
    """person: (T,) int64, whom each tracklet followed most, NOBODY where it followed none. purity: (T,) float64,
    share of its matched boxes on that person. boxes: (T,) int64, all its boxes."""

    person: Ints
    purity: NDArray[np.float64]
    boxes: Ints


def people_of_tracklets(scene: Scene) -> TrackletPeople:
    """Majority of the matched boxes, hidden and small people included."""
    found, count = scene.tracked, len(scene.identity)
    boxes = np.bincount(found.tracklet, minlength=count).astype(np.int64)
    on_somebody = found.true_row != UNMATCHED
    person = np.full(count, NOBODY, np.int64)
    purity = np.zeros(count)
    tracklet, of = found.tracklet[on_somebody], scene.true.person[found.true_row[on_somebody]]
    pairs, together = np.unique(np.stack([tracklet, of], axis=1), axis=0, return_counts=True)
    matched = np.bincount(tracklet, minlength=count)
    # Ascending, so that the most frequent person of each tracklet is written last.
    for row in np.argsort(together, kind="stable"):
        number = pairs[row, 0]
        if matched[number] >= _FEWEST_MATCHED * boxes[number]:
            person[number], purity[number] = pairs[row, 1], together[row] / matched[number]
    return TrackletPeople(person, purity, boxes)


def people_of_identities(scene: Scene) -> dict[int, int]:
    """Identity -> the person on whom most boxes of its tracklets lie; identities that follow nobody are left out."""
    of = people_of_tracklets(scene)
    boxes: dict[int, Counter[int]] = defaultdict(Counter)
    for identity, person, count in zip(scene.identity.tolist(), of.person.tolist(), of.boxes.tolist(), strict=True):
        if person != NOBODY and count:
            boxes[identity][person] += count
    return {identity: max(sorted(counts), key=lambda p: counts[p]) for identity, counts in boxes.items()}


def links(scene: Scene) -> Section:
    """Pairs of tracklets, by whether identity and truth hold them for one person."""
    of = people_of_tracklets(scene)
    boxed = of.boxes > 0
    counted = (of.person != NOBODY) & boxed
    if not counted.any():
        return {"recall": not_measured("no tracklet of the lake follows a person of the truth")}
    person, identity = of.person[counted], scene.identity[counted]
    camera = np.unique(np.array(scene.rows.camera_of_tracklet, object)[counted], return_inverse=True)[1]
    return {
        "across_cameras": _pairs(person, identity, camera),
        "within_camera": _pairs(person, identity, camera, within=True),
        **merges_and_splits(person, identity),
        "pure_tracklets": share(int((of.purity[counted] >= PURE_SHARE).sum()), int(counted.sum()), "tracklets"),
        "tracklets_of_nobody": Measure(float((~counted & boxed).sum()), int(boxed.sum()), "tracklets"),
    }


def merges_and_splits(person: Ints, identity: Ints) -> Section:
    """False merges: people in an identity beyond the first; false splits: identities of a person beyond the first."""
    both = len(_groups(person, identity))
    people, identities = len(np.unique(person)), len(np.unique(identity))
    return {
        "false_merges": Measure(float(both - identities), identities, "identities"),
        "false_splits": Measure(float(both - people), people, "people"),
        "identities_per_person": Measure(both / people, people, "people"),
    }


def pairs_of_tracklets(person: Ints, identity: Ints) -> Section:
    """Pairs of (T,) tracklets, of one camera or of two, by whether identity and truth hold them for one person."""
    one_camera = np.zeros(len(person), np.int64)
    return _pairs(person, identity, one_camera, within=True)


def _pairs(person: Ints, identity: Ints, camera: Ints, *, within: bool = False) -> Section:
    def count(*keys: Ints) -> int:
        """Pairs that agree in all keys: within one camera, or in two."""
        inside = _pairs_in(_groups(*keys, camera))
        return inside if within else _pairs_in(_groups(*keys)) - inside

    right, linked, true = count(person, identity), count(identity), count(person)
    return {
        "precision": share(right, linked, "linked pairs of tracklets"),
        "recall": share(right, true, "true pairs of tracklets"),
    }


def _groups(*keys: Ints) -> Ints:
    """Sizes of the groups that agree in all keys."""
    return np.unique(np.stack(keys, axis=1), axis=0, return_counts=True)[1].astype(np.int64)


def _pairs_in(sizes: Ints) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
