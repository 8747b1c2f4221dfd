"""The queue before one checkout: who stands in it, who is served, and the exact record of every visit to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from retail_ray.simulation.places import slots_of
from retail_ray.simulation.store import Checkout, Point

Outcome = Literal["served", "abandoned", "censored"]


@dataclass(slots=True)
class QueueVisit:
    """Seconds of simulated time; `service_s` and `leave_s` are None as long as they have not happened."""

    lane_id: str
    person: int
    join_s: float
    service_s: float | None = None
    leave_s: float | None = None
    outcome: Outcome = "censored"


@dataclass(slots=True)
class Lane:
    """Members in order, head first; `open` while a cashier stands behind the counter."""

    checkout: Checkout
    slots_m: tuple[Point, ...] = ()
    members: list[int] = field(default_factory=list)
    served: int | None = None
    open: bool = False
    visits: list[QueueVisit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slots_m = slots_of(self.checkout)

    @property
    def length(self) -> int:
        return len(self.members) + (self.served is not None)

    @property
    def has_room(self) -> bool:
        return len(self.members) < len(self.slots_m)

    def join(self, slot: int, person: int, now_s: float) -> QueueVisit:
        self.members.append(slot)
        visit = QueueVisit(self.checkout.id, person, now_s)
        self.visits.append(visit)
        return visit

    def may_step_up(self, slot: int) -> bool:
        """Whether this member is the head of the line and the cashier is free."""
        return self.open and self.served is None and self.members[0] == slot

    def step_up(self, slot: int) -> None:
        self.members.remove(slot)
        self.served = slot

    def serve(self, visit: QueueVisit, now_s: float) -> None:
        visit.service_s = now_s

    def finish(self, visit: QueueVisit, now_s: float) -> None:
        self.served = None
        visit.leave_s, visit.outcome = now_s, "served"

    def abandon(self, slot: int, visit: QueueVisit, now_s: float) -> None:
        self.members.remove(slot)
        visit.leave_s, visit.outcome = now_s, "abandoned"
