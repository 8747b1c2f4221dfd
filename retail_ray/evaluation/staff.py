"""Staff probability of the journeys against who really was staff, and what leaving staff out does to visitor counts."""

from __future__ import annotations

from typing import Final

import numpy as np

from retail_ray.evaluation.classification import classification
from retail_ray.evaluation.links import people_of_identities
from retail_ray.evaluation.measures import Measure, Section, not_measured
from retail_ray.evaluation.scene import Ints, Scene
from retail_ray.evaluation.visitors import people_seen
from retail_ray.lake.scored_rows import NOBODY

STAFF_FROM: Final = 0.5
"""From this probability on somebody is held for staff."""


def staff(scene: Scene, rng: np.random.Generator) -> Section:
    """Identities whose person is known; an identity's probability is the mean over its journeys."""
    table = scene.rows.tables.get("journeys")
    if table is None:
        return {"brier": not_measured("the lake has no journeys")}
    assessed = np.isfinite(table["staff_probability"].astype(np.float64)) & (table["identity"] != NOBODY)
    if not assessed.any():
        return {"brier": not_measured("no journey of an identity has a staff probability")}
    identity, row = np.unique(table["identity"][assessed], return_inverse=True)
    journeys = np.bincount(row.ravel())
    probability = np.bincount(row.ravel(), table["staff_probability"][assessed].astype(np.float64)) / journeys
    person = people_of_identities(scene)
    known = np.array([int(number) in person for number in identity], np.bool_)
    if not known.any():
        return {"brier": not_measured("no identity with a staff probability follows a person of the truth")}
    members = _staff(scene)
    is_staff = np.array([person[int(number)] in members for number in identity[known]], np.bool_)
    return {
        **classification(probability[known], is_staff, "identities", rng, STAFF_FROM),
        "visitors": _visitors(scene, identity[probability >= STAFF_FROM], members),
    }


def _staff(scene: Scene) -> set[int]:
    people = scene.truth.tables["people"]
    return set(people["person_id"][people["kind"] == "staff"].tolist())


def _visitors(scene: Scene, staff_identities: Ints, members: set[int]) -> Section:
    """All identities, and those that are not held for staff, against people seen who are none."""
    identities = np.unique(scene.identity)
    without = len(np.setdiff1d(identities, staff_identities))
    people = len(set(people_seen(scene).tolist()) - members)
    if not people:
        return {"error": not_measured("no visitor was to be seen")}
    return {
        "people": Measure(float(people), people, "visitors seen"),
        "raw": Measure(float(len(identities)), len(identities), "identities"),
        "staff_excluded": Measure(float(without), len(identities), "identities"),
        "error": Measure((without - people) / people, people, "visitors seen"),
    }
