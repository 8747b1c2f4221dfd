"""What every actor of a run knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retail_ray.config import Site
from retail_ray.core.time import US_PER_S
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run of one site. live: event time goes with the clock."""

    site: Site
    run_id: str
    live: bool

    @property
    def lake(self) -> Path:
        return Path(self.site.lake)

    @property
    def epoch_us(self) -> int:
        runtime = self.site.runtime
        return (runtime.live_epoch_s if self.live else runtime.epoch_s) * US_PER_S

    @property
    def context(self) -> RowContext:
        """The columns that all rows of the run share."""
        return RowContext(self.site.site, self.run_id, self.site.config_version)

    def stage(self, writer: str) -> Stage:
        """Where this writer puts its files until their epoch is published."""
        return Stage(self.lake, self.context, writer, self.site.business_day)
