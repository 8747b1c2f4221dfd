"""How long each table is kept: `retention` of site.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from retail_ray.config_base import Section

Days = Annotated[int, Field(ge=1, le=36_500)] | None


class Retention(Section):
    """Business days that `retail-ray lake retain` keeps of each table; null keeps all. The newest day always stays."""

    detections: Days = Field(default=7, description="boxes with pixel and floor points, days")
    tracklets: Days = Field(default=90, description="tracks of single cameras, days")
    identity_events: Days = Field(default=90, description="which tracks are one person, days")
    line_crossings: Days = Field(default=400, description="door counts, days: a year and a month, to compare with")
    zone_visits: Days = Field(default=90, description="stays of single tracks, days")
    occupancy: Days = Field(default=400, description="people inside by minute, days")
    queue_visits: Days = Field(default=90, description="stays in checkout lanes, days")
    queue_metrics: Days = Field(default=90, description="lanes by minute, days")
    heat: Days = Field(default=30, description="presence by floor square and hour, days")
    journeys: Days = Field(default=90, description="visits with their zone stays, days")
    alerts: Days = Field(default=365, description="alerts raised and cleared, days")
    coverage: Days = Field(default=400, description="how much was analysed, days")
    sites: Days = Field(default=None, description="versions of geometry and settings, days")

    def days(self) -> dict[str, int | None]:
        """Table -> days kept, None for ever."""
        return dict(self)
