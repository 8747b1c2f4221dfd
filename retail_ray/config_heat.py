"""Heat maps of `site.yaml`."""

from __future__ import annotations

from pydantic import Field

from retail_ray.config_base import Section


class Heat(Section):
    """Presence on the floor, per square and local hour; needs cameras with a floor calibration."""

    enabled: bool = Field(default=True, description="write the table heat")
    cell_m: float = Field(default=0.5, ge=0.1, le=10, description="side of a square in metres")
