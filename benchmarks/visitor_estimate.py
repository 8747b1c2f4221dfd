"""The product's estimate of how many people there were, against how many there were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from retail_ray.core.identity_map import IdentityMap, Link, TrackletKey
from retail_ray.core.records import IdentityEvent
from retail_ray.core.time import US_PER_S
from retail_ray.core.types import Observations
from retail_ray.lake.visitor_counts import MIN_PRESENCE_S, Decided, people_range

ESTIMATE = "visitors, estimated, error"
ABSOLUTE = f"{ESTIMATE}, absolute"
IN_RANGE, WIDTH = "true number in its range", "width of its range"
VISITORS = (ESTIMATE, ABSOLUTE, IN_RANGE, WIDTH)

Spans = Mapping[TrackletKey, tuple[int, int]]


def estimate(
    events: Sequence[IdentityEvent], seen_us: Spans, people: int, min_presence_s: float = MIN_PRESENCE_S
) -> dict[str, float]:
    """seen_us: first and last sight of each tracklet. people: who were there."""
    known = IdentityMap()
    known.apply_all(events)
    kept = list[Link]()
    for members in known.members.values():
        spans = [seen_us[key] for key in members if key in seen_us]
        if spans and max(end for _, end in spans) - min(begin for begin, _ in spans) >= min_presence_s * US_PER_S:
            kept += members.values()
    found = people_range(sum(link.founder for link in kept), Decided.of(kept))
    error = (found.expected - people) / people
    return {
        ESTIMATE: error,
        ABSOLUTE: abs(error),
        IN_RANGE: float(found.low <= people <= found.high),
        WIDTH: (found.high - found.low) / people,
    }


def spans_of(messages: Iterable[Observations]) -> dict[TrackletKey, tuple[int, int]]:
    """First and last sight of each tracklet."""
    found: dict[TrackletKey, tuple[int, int]] = {}
    for message in messages:
        for local_id in np.unique(message.local_id).tolist():
            times_us = message.time_us[message.local_id == local_id]
            key = (message.camera_id, local_id)
            first_us, last_us = found.get(key, (int(times_us[0]), int(times_us[-1])))
            found[key] = min(first_us, int(times_us[0])), max(last_us, int(times_us[-1]))
    return found
