"""Queues against the truth: how long they are, how long people wait, who gives up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retail_ray.core.time import US_PER_MINUTE, US_PER_S
from retail_ray.evaluation.links import people_of_tracklets
from retail_ray.evaluation.measures import Measure, Section, estimated, median_and_p90, not_measured, share
from retail_ray.evaluation.scene import Floats, Ints, Scene
from retail_ray.lake.scored_rows import NOBODY


@dataclass(frozen=True, slots=True)
class QueueVisits:
    """Stays in lanes. waited_us: (N,) int64 end of the wait, by service or by leaving. outcome: (N,) words."""

    lane_id: np.ndarray[tuple[int], np.dtype[np.object_]]
    person: Ints
    join_us: Ints
    waited_us: Ints
    leave_us: Ints
    outcome: np.ndarray[tuple[int], np.dtype[np.object_]]

    def __len__(self) -> int:
        return len(self.join_us)


def queues(scene: Scene, rng: np.random.Generator) -> Section:
    """Length by minute, wait of served people, abandonment."""
    return {"length": _lengths(scene, rng), **_visits(scene, rng)}


def true_visits(scene: Scene) -> QueueVisits:
    table, end_us = scene.truth.tables["queue_visits"], scene.truth.of.end_us
    service_us, leave_us = table["service_us"].astype(np.int64), table["leave_us"].astype(np.int64)
    left_us = np.where(leave_us < 0, end_us, leave_us)
    return QueueVisits(
        table["lane_id"],
        table["person_id"].astype(np.int64),
        table["join_us"].astype(np.int64),
        np.where(service_us < 0, left_us, service_us),
        left_us,
        table["outcome"],
    )


def found_visits(scene: Scene) -> QueueVisits | None:
    """None where the lake measures no queues."""
    table = scene.rows.tables.get("queue_visits")
    if table is None:
        return None
    service_us, leave_us = table["service_us"].astype(np.int64), table["leave_us"].astype(np.int64)
    person = np.append(people_of_tracklets(scene).person, NOBODY)[table["tracklet"]]
    return QueueVisits(
        table["lane_id"],
        person,
        table["join_us"].astype(np.int64),
        np.where(service_us < 0, leave_us, service_us),
        leave_us,
        table["outcome"],
    )


def _visits(scene: Scene, rng: np.random.Generator) -> Section:
    true, found = true_visits(scene), found_visits(scene)
    if found is None:
        why = not_measured("the lake measures no queues")
        return {"wait_error_s": why, "abandonment": {"recall": why}}
    mine, theirs = matched(true, found)
    served = (true.outcome[mine] == "served") & (found.outcome[theirs] == "served")
    wait_s = [(side.waited_us - side.join_us) / US_PER_S for side in (true, found)]
    gave_up, said_so = true.outcome[mine] == "abandoned", found.outcome[theirs] == "abandoned"
    both = int((gave_up & said_so).sum())
    return {
        "wait_error_s": median_and_p90(
            np.abs(wait_s[1][theirs[served]] - wait_s[0][mine[served]]), "served visits found", rng
        ),
        "found": share(len(mine), len(true), "true queue visits"),
        "right": share(len(theirs), len(found), "queue visits in the lake"),
        "abandonment": {
            "precision": share(both, int((found.outcome == "abandoned").sum()), "abandoned visits in the lake"),
            "recall": share(both, int((true.outcome == "abandoned").sum()), "true abandoned visits"),
        },
    }


def matched(true: QueueVisits, found: QueueVisits) -> tuple[Ints, Ints]:
    """Rows that belong together: one lane, one person where it is known, most common time in the lane."""
    from scipy.optimize import linear_sum_assignment

    same = (true.lane_id[:, None] == found.lane_id[None]) & (
        (true.person[:, None] == found.person[None]) | (found.person[None] == NOBODY)
    )
    later_us = np.maximum(true.join_us[:, None], found.join_us[None])
    sooner_us = np.minimum(true.leave_us[:, None], found.leave_us[None])
    common_us = np.where(same, np.clip(sooner_us - later_us, 0, None), 0).astype(np.float64)
    rows, columns = linear_sum_assignment(-common_us)
    fits = common_us[rows, columns] > 0
    return rows[fits].astype(np.int64), columns[fits].astype(np.int64)


def _lengths(scene: Scene, rng: np.random.Generator) -> Section:
    table = scene.rows.tables.get("queue_metrics")
    if table is None:
        return {"mean_error": not_measured("the lake measures no queues")}
    minute_us = table["time_us"].astype(np.int64)
    true = true_lengths(scene, table["lane_id"], minute_us)
    apart = np.abs(table["queue_length_mean"].astype(np.float64) - true)
    return {
        "mean_error": estimated(apart, "lane-minutes", rng),
        "max_error": Measure(float(apart.max()), len(apart), "lane-minutes"),
    }


def true_lengths(scene: Scene, lane_id: np.ndarray[tuple[int], np.dtype[np.object_]], minute_us: Ints) -> Floats:
    """(N,) mean number of people waiting in the lane over each minute, as far as the truth reaches."""
    visits = true_visits(scene)
    end_us = np.minimum(minute_us + US_PER_MINUTE, max(scene.truth.of.end_us, int(minute_us.max()) + 1))
    from_us = np.maximum(visits.join_us[None], minute_us[:, None])
    until_us = np.minimum(visits.waited_us[None], end_us[:, None])
    waiting_us = np.clip(until_us - from_us, 0, None) * (visits.lane_id[None] == lane_id[:, None])
    return np.asarray(waiting_us.sum(axis=1) / (end_us - minute_us), np.float64)
