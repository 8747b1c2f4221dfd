"""Groups of the journeys against who really came together: pairs of people, and how many parties there were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from retail_ray.evaluation.classification import f1
from retail_ray.evaluation.links import people_of_identities
from retail_ray.evaluation.measures import Measure, Section, not_measured, share
from retail_ray.evaluation.scene import Scene
from retail_ray.evaluation.visitors import people_seen
from retail_ray.lake.scored_rows import NOBODY

Pairs = set[frozenset[int]]


def groups(scene: Scene) -> Section:
    """Pairs among the people seen. A pair of an identity that follows nobody is wrong; one of two identities of the
    same person is none."""
    table = scene.rows.tables.get("journeys")
    if table is None:
        return {"f1": not_measured("the lake has no journeys")}
    if not len(scene.truth.tables["groups"]["group_id"]):
        return {"f1": not_measured("the truth has no groups")}
    seen = set(people_seen(scene).tolist())
    true, found = _true_groups(scene, seen), _found_groups(scene)
    true_pairs, found_pairs = pairs_in(true), pairs_in(found)
    right, counted = len(true_pairs & found_pairs), len(found_pairs)
    return {
        "precision": share(right, counted, "pairs found"),
        "recall": share(right, len(true_pairs), "true pairs"),
        "f1": f1(right, counted, len(true_pairs), "pairs"),
        "groups": {
            "true": Measure(float(len(true)), len(true), "groups seen"),
            "counted": Measure(float(len(found)), len(found), "groups in the lake"),
        },
    }


def pairs_in(some: Iterable[set[int]]) -> Pairs:
    """Every pair of different people who share a set."""
    return {frozenset(pair) for members in some for pair in combinations(sorted(members), 2)}


def _true_groups(scene: Scene, seen: set[int]) -> list[set[int]]:
    table = scene.truth.tables["groups"]
    members: dict[int, set[int]] = defaultdict(set)
    for group, person in zip(table["group_id"].tolist(), table["person_id"].tolist(), strict=True):
        members[group] |= {person} & seen
    return [some for some in members.values() if len(some) > 1]


def _found_groups(scene: Scene) -> list[set[int]]:
    """Persons by run and group number; an identity without a person stands as a number of its own below zero."""
    table, person = scene.rows.tables["journeys"], people_of_identities(scene)
    together = np.isfinite(table["group_id"].astype(np.float64)) & (table["identity"] != NOBODY)
    columns = (table[name][together].tolist() for name in ("run_id", "group_id", "identity"))
    members: dict[tuple[str, float], set[int]] = defaultdict(set)
    for run_id, group, identity in zip(*columns, strict=True):
        members[run_id, group].add(person.get(identity, -2 - identity))
    return [some for some in members.values() if len(some) > 1]
