"""Hand-made crowds and a small store for tests of the simulation."""

from __future__ import annotations

import numpy as np

from retail_ray.simulation.appearance import draw_appearances
from retail_ray.simulation.crowd import Crowd, Person
from retail_ray.simulation.layouts import convenience
from retail_ray.simulation.scenario import Scenario
from retail_ray.simulation.settings import ScenarioSettings


def crowd_of(tracks: dict[int, list[tuple[int, float, float]]], ticks: int, tick_s: float = 0.1) -> Crowd:
    """Shoppers who stand at (tick, x, y) and have nothing else about them."""
    looks = draw_appearances(
        np.random.default_rng(0), list(tracks), staff=[False] * len(tracks), uniform=0, twin_share=0.0
    )
    people = tuple(Person(person_id, "shopper", look) for person_id, look in zip(tracks, looks, strict=True))
    rows = sorted((tick, person_id, x, y) for person_id, track in tracks.items() for tick, x, y in track)
    count = len(rows)
    return Crowd(
        tick_s,
        ticks,
        people,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int32),
        np.array([row[2:] for row in rows], np.float32).reshape(-1, 2),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.uint8),
    )


def scenario_of(crowd: Crowd) -> Scenario:
    """The crowd in the ready store `convenience`, where nobody queued."""
    settings = ScenarioSettings(duration_s=max(1.0, crowd.duration_s), tick_s=crowd.tick_s)
    return Scenario(convenience(), settings, 0, crowd, (), frozenset())
