"""Links judged against who was really followed."""

from __future__ import annotations

from benchmarks.link_reliability import link_classes, reliability
from retail_ray.core.records import IdentityEvent

NAN = float("nan")


def event(
    sequence: int, kind: str, identity: int, local_id: int | None, p_same: float, other: int | None = None
) -> IdentityEvent:
    camera = None if local_id is None else "a"
    known = {"score": NAN, "margin": NAN, "reason": "", "p_same": p_same}
    about = {"identity_id": identity, "other_identity_id": other, "camera_id": camera, "local_id": local_id}
    return IdentityEvent(time_us=sequence, sequence=sequence, kind=kind, session_id="s", **about, **known)  # type: ignore[arg-type]


def test_a_link_is_right_if_it_joins_whom_the_identity_followed_before() -> None:
    person_of = {("a", 1): 7, ("a", 2): 7, ("a", 3): 8, ("a", 5): 8}
    events = [
        event(0, "create", 1, 1, 0.9),
        event(1, "assign", 1, 2, 0.95),  # right
        event(2, "assign", 1, 3, 0.6),  # wrong
        event(3, "create", 2, 4, 0.9),  # follows nobody
        event(4, "assign", 2, 5, 0.99),  # nobody was followed before: not judged
        event(5, "split", 2, 3, 0.8, other=1),
        event(6, "assign", 2, 3, 0.3),  # right now: two of the person were there
    ]
    found = reliability(events, person_of)
    assert list(found) == link_classes() == ["0 to 0.5", "0.5 to 0.7", "0.7 to 0.9", "0.9 to 0.97", "0.97 to 1"]
    assert {name: known[:2] for name, known in found.items() if known[0]} == {
        "0 to 0.5": (1, 1),
        "0.5 to 0.7": (1, 0),
        "0.9 to 0.97": (1, 1),
    }
    assert found["0.9 to 0.97"][2] == 0.95
