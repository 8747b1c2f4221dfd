from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.identity_map import IdentityMap, p_one_person
from retail_ray.core.records import IdentityEvent

NAN = math.nan


def decision(
    sequence: int, kind: str, identity: int, other: int | None, local_id: int | None, p: float
) -> IdentityEvent:
    camera = None if local_id is None else "door"
    return IdentityEvent(sequence, sequence, kind, "s1", identity, other, camera, local_id, NAN, NAN, "", p)  # type: ignore[arg-type]


@st.composite
def histories(draw: st.DrawFn) -> list[IdentityEvent]:
    events = []
    for sequence in range(draw(st.integers(0, 20))):
        kind = draw(st.sampled_from(["create", "assign", "assign", "merge", "merge", "split"]))
        identity, other = draw(st.permutations([1, 2, 3, 4]))[:2]
        local_id = None if kind == "merge" else draw(st.integers(1, 5))
        events.append(decision(sequence, kind, identity, other if kind in ("merge", "split") else None, local_id, 0.9))
    return events


@given(histories(), st.integers(0, 20))
def test_members_are_those_of_a_replay_and_each_identity_has_one_founder(events: list[IdentityEvent], cut: int) -> None:
    known = IdentityMap()
    before = {who: dict(links) for who, links in known.members.items()}
    for part in (events[:cut], events[cut:]):
        touched = known.apply_all(part[::-1])  # any order within one call
        changed = {who for who in known.members.keys() | before.keys() if known.members.get(who) != before.get(who)}
        assert changed <= touched
        before = {who: dict(links) for who, links in known.members.items()}
    owner: dict[int, int] = {}
    for event in events:
        if event.kind == "merge":
            owner = {t: event.identity_id if i == event.other_identity_id else i for t, i in owner.items()}  # type: ignore[misc]
        else:
            owner[event.local_id] = event.identity_id  # type: ignore[index, assignment]
    assert {key[1]: who[1] for who, links in known.members.items() for key in links} == owner
    assert {place[1][1]: identity for place, identity in known.owner.items()} == owner
    assert all(sum(link.founder for link in links.values()) == 1 for links in known.members.values())


def test_the_link_of_a_merge_hangs_on_the_absorbed_founder() -> None:
    """Decisions made before the merge keep their probabilities, whichever identity is older."""
    known = IdentityMap()
    known.apply_all(
        [
            decision(0, "create", 1, None, 1, 0.99),
            decision(1, "assign", 1, None, 2, 0.8),
            decision(2, "create", 2, None, 3, 0.98),
            decision(3, "merge", 2, 1, None, 0.7),
        ]
    )
    links = known.members["s1", 2]
    own = {key: (link.sequence, link.p_same, link.founder) for key, link in links.items()}
    assert own == {("door", 1): (0, 0.7, False), ("door", 2): (1, 0.8, False), ("door", 3): (2, 0.98, True)}
    absorbed = links.pop(("door", 1))
    assert absorbed.p_new == 0.99
    assert all(math.isnan(link.p_new) for link in links.values())
    links["door", 1] = absorbed
    assert p_one_person(links) == pytest.approx(0.56)
    alone = {key: link for key, link in links.items() if key[1] != 3}
    assert p_one_person(alone) == pytest.approx(0.8)  # without the founder the earliest link leads out of the group
