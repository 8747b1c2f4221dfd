"""Journeys of a run: derived from the staged rows of each epoch, and published with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from retail_ray.analytics.journeys import JourneyBook, JourneyFacts
from retail_ray.core.event_time import pack_state, unpack_state
from retail_ray.core.identity_map import Person
from retail_ray.core.records import IdentityEvent, LineCrossing, TrackletRow, ZoneVisit
from retail_ray.core.time import US_PER_MINUTE
from retail_ray.lake.epochs import FileEntry, Stage
from retail_ray.lake.runs import CameraSpan
from retail_ray.lake.views import open_lake
from retail_ray.runtime.people_traits import people_traits
from retail_ray.runtime.plan import RunPlan

_HOUR_US = 60 * US_PER_MINUTE


class JourneyHost:
    """Works where epochs are committed, which is the first place that sees the rows of all writers."""

    def __init__(self, book: JourneyBook, stage: Stage) -> None:
        self._book, self._stage = book, stage

    def restore(self, state: bytes) -> None:
        self._book.restore(unpack_state(state))

    def close_epoch(
        self,
        epoch: int,
        entries: Sequence[FileEntry],
        staff: Mapping[Person, float] | None = None,
        groups: Mapping[Person, int] | None = None,
    ) -> list[FileEntry]:
        """Stage the journeys that the epoch's rows change, and the state. entries: what everybody staged of it.

        staff, groups: of identities that were assessed anew; see JourneyBook.update.
        """

        def rows(table: str) -> list[object]:
            return list(self._stage.read_records(table, epoch, entries))

        facts = JourneyFacts(
            cast("list[IdentityEvent]", rows("identity_events")),
            cast("list[TrackletRow]", rows("tracklets")),
            cast("list[ZoneVisit]", rows("zone_visits")),
            cast("list[LineCrossing]", rows("line_crossings")),
        )
        journeys = self._book.update(facts, epoch, staff, groups)
        staged = self._stage.write_records("journeys", journeys, epoch)
        return [*staged, self._stage.write_state(epoch, pack_state(self._book.state()))]


def assessed_people(
    plan: RunPlan, end_us: int, spans: Sequence[CameraSpan], uniform_log_odds: Mapping[Person, float]
) -> tuple[dict[Person, float], dict[Person, int]]:
    """Probability of being staff, and group, of everybody in the published rows of a run, business day by day."""
    day = plan.site.business_day
    first_us = min((span.start_us for span in spans), default=end_us)
    dates = {day.date_of(time_us) for time_us in (*range(first_us, end_us, _HOUR_US), end_us)}
    staff: dict[Person, float] = {}
    groups: dict[Person, int] = {}
    with open_lake(plan.lake) as lake:
        for date in sorted(dates):
            found = people_traits(lake, plan.site, plan.run_id, date, uniform_log_odds)
            staff |= found.staff_probability
            groups |= found.group_id
    return staff, groups
