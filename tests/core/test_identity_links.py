from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.identity_links import Assignments, Merges, resolve
from retail_ray.core.identity_map import IdentityMap
from retail_ray.core.records import IdentityEvent

NAN = math.nan
Found = dict[tuple[int, int], tuple[int, float | None, bool, float | None]]
"""(identity, tracklet): (sequence, p_same, founder, p_new)."""


def number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def decision(
    sequence: int, kind: str, identity: int, other: int | None, local_id: int | None, p: float
) -> IdentityEvent:
    camera = None if local_id is None else "door"
    return IdentityEvent(sequence, sequence, kind, "s1", identity, other, camera, local_id, NAN, NAN, "", p)  # type: ignore[arg-type]


@st.composite
def histories(draw: st.DrawFn) -> list[IdentityEvent]:
    """Chains of merges, also of nobody and into nobody; tracklets that change their identity before and behind them."""
    events = []
    people, tracklets = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    for number in range(draw(st.integers(0, 30))):
        kind = draw(st.sampled_from(["create", "assign", "assign", "merge", "merge", "split"]))
        identity, other = draw(st.integers(1, people)), draw(st.integers(1, people))
        local_id = None if kind == "merge" else draw(st.integers(1, tracklets))
        events.append(decision(3 * number, kind, identity, other, local_id, draw(st.sampled_from([0.9, 0.4, NAN]))))
    return events


def replayed(events: list[IdentityEvent]) -> Found:
    known = IdentityMap()
    known.apply_all(events)
    return {
        (who[1], key[1]): (link.sequence, number(link.p_same), link.founder, number(link.p_new))
        for who, links in known.members.items()
        for key, link in links.items()
    }


def at_once(events: list[IdentityEvent]) -> Found:
    def column(some: list[IdentityEvent], name: str) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([getattr(event, name) for event in some], np.float64 if name == "p_same" else np.int64)

    given_ = [event for event in events if event.kind != "merge"]
    merged = [event for event in events if event.kind == "merge"]
    assigned = Assignments(*(column(given_, name) for name in ("sequence", "identity_id", "local_id", "p_same")))
    merges = Merges(*(column(merged, name) for name in ("sequence", "identity_id", "other_identity_id", "p_same")))
    links = resolve(assigned, merges)
    return {
        (int(identity), int(assigned.key[row])): (
            int(assigned.sequence[row]), number(p_same), bool(founder), number(p_new)
        )
        for row, identity, p_same, founder, p_new in zip(
            links.row, links.identity, links.p_same, links.founder, links.p_new, strict=True
        )
    }  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(histories())
def test_all_at_once_is_a_replay(events: list[IdentityEvent]) -> None:
    assert at_once(events) == replayed(events)


def test_the_replay_is_no_empty_measure() -> None:
    """The control: without the merge, or with the split first, other links come out."""
    events = [decision(0, "create", 1, None, 1, 0.9), decision(1, "create", 2, None, 2, 0.8),
              decision(2, "merge", 1, 2, None, 0.7), decision(3, "split", 3, 1, 1, 0.6)]  # fmt: skip
    assert at_once(events) == {(1, 2): (1, None, True, None), (3, 1): (3, 0.6, True, None)}
    assert at_once(events[:2] + events[3:]) == {(2, 2): (1, 0.8, True, None), (3, 1): (3, 0.6, True, None)}
    assert at_once(events[:3]) == {(1, 1): (0, 0.9, True, None), (1, 2): (1, 0.7, False, 0.8)}
