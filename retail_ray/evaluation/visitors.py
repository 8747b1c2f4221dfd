"""How many different people there were, and how many were inside."""

from __future__ import annotations

import numpy as np

from retail_ray.core.time import US_PER_MINUTE, US_PER_S
from retail_ray.evaluation.measures import Measure, Section, not_measured
from retail_ray.evaluation.scene import Floats, Ints, Scene
from retail_ray.lake.visitor_counts import MIN_PRESENCE_S


def unique_visitors(scene: Scene) -> Section:
    """Identities of the lake against people who could be seen for a second or more.

    `long`: identities that the product counts as visitors by the time from first to last sight, whatever lines they
    crossed: a tracklet of a moment, on a trolley or at the edge of the picture, is nobody's visit.
    """
    if "detections" not in scene.rows.tables:
        return {"error": not_measured("the lake has no tracklets")}
    people = len(people_seen(scene))
    identities = len(np.unique(scene.identity))
    if not people:
        return {"error": not_measured("nobody was to be seen")}
    return {
        "people": Measure(float(people), people, "people seen"),
        "identities": Measure(float(identities), identities, "identities"),
        "error": Measure((identities - people) / people, people, "people seen"),
        "long": _long(scene, people),
    }


def _long(scene: Scene, people: int) -> Section:
    found = scene.tracked
    who, row = np.unique(scene.identity[found.tracklet], return_inverse=True)
    first_us, last_us = np.full(len(who), np.iinfo(np.int64).max), np.zeros(len(who), np.int64)
    np.minimum.at(first_us, row.ravel(), found.time_us)
    np.maximum.at(last_us, row.ravel(), found.time_us)
    long = int((last_us - first_us >= MIN_PRESENCE_S * US_PER_S).sum())
    return {
        "identities": Measure(float(long), long, "identities"),
        "error": Measure((long - people) / people, people, "people seen"),
    }


def people_seen(scene: Scene) -> Ints:
    """Persons who had to be found during `min_person_s` or longer, over all cameras."""
    true = scene.true
    steps_s = np.array([_step_s(scene, camera) for camera in range(len(scene.cameras))])
    seen_s = steps_s[scene.frames.camera[true.frame[true.required]]]
    people, row = np.unique(true.person[true.required], return_inverse=True)
    total_s = np.bincount(row.ravel(), seen_s, len(people))
    return people[total_s >= scene.rules.min_person_s - 1e-6]


def _step_s(scene: Scene, camera: int) -> float:
    stamps_us = np.sort(scene.frames.stamp_us[scene.frames.camera == camera])
    return float(np.median(np.diff(stamps_us))) / US_PER_S if len(stamps_us) > 1 else 0.0


def occupancy(scene: Scene) -> Section:
    """People inside at the end of each minute; `change`: entries less exits, whoever was inside before."""
    table = scene.rows.tables.get("occupancy")
    if table is None:
        return {"mean_error": not_measured("the lake has no occupancy")}
    minute_us = table["time_us"].astype(np.int64)
    change = table["entries"].astype(np.float64) - table["exits"]
    at_us = np.minimum(minute_us + US_PER_MINUTE, scene.truth.of.end_us)
    true = inside_at(scene, at_us)
    before = float(inside_at(scene, np.array([scene.truth.of.start_us]))[0])
    return {
        **_errors(table["inside"] - true),
        "change": _errors(change - (true - before)),
        "inside_before": Measure(before, 1, "beginnings"),
    }


def inside_at(scene: Scene, at_us: Ints) -> Floats:
    """True people inside at these instants."""
    visits = scene.truth.tables["visits"]
    enter_us, exit_us = visits["enter_us"].astype(np.int64), visits["exit_us"].astype(np.int64)
    left_us = np.where(exit_us < 0, np.iinfo(np.int64).max, exit_us)
    inside = (enter_us[None] <= at_us[:, None]) & (at_us[:, None] < left_us[None])
    return np.asarray(inside.sum(axis=1), np.float64)


def _errors(difference: Floats) -> Section:
    apart = np.abs(difference)
    return {
        "mean_error": Measure(float(apart.mean()), len(apart), "minutes"),
        "max_error": Measure(float(apart.max()), len(apart), "minutes"),
    }
