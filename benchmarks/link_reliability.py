"""How often links are right, by the probability that the gallery gave them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from retail_ray.core.identity_map import IdentityMap, TrackletKey
from retail_ray.core.records import IdentityEvent

BOUNDS = (0.5, 0.7, 0.9, 0.97)
"""Between the classes of p_same; the first begins at 0, the last ends at 1."""


def link_classes() -> list[str]:
    edges = (0.0, *BOUNDS, 1.0)
    return [f"{low:g} to {high:g}" for low, high in pairwise(edges)]


def reliability(
    events: Sequence[IdentityEvent], person_of: Mapping[TrackletKey, int]
) -> dict[str, tuple[int, int, float]]:
    """Class of p_same -> links made, those that were right, and the sum of their p_same.

    A link is right when the tracklet followed the person whom most tracklets of the identity followed before it.
    person_of: of tracklets that followed somebody; links of and to others are left out.
    """
    known, found = IdentityMap(), dict.fromkeys(link_classes(), (0, 0, 0.0))
    for event in events:
        if event.kind == "assign" and event.camera_id is not None and event.local_id is not None:
            person = person_of.get((event.camera_id, event.local_id))
            others = known.members.get((event.session_id, event.identity_id or 0), {})
            followed = Counter(person_of[key] for key in others if key in person_of)
            if person is not None and followed:
                name = link_classes()[sum(event.p_same >= bound for bound in BOUNDS)]
                links, right, total = found[name]
                found[name] = links + 1, right + (followed.most_common(1)[0][0] == person), total + event.p_same
        known.apply_all([event])
    return found
