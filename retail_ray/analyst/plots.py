"""Pictures of answers. Each takes an answer and, if wanted, the axes to draw on, and returns the axes."""

from __future__ import annotations

from retail_ray.analyst.plot_floor import floor_plan, heat
from retail_ray.analyst.plot_flows import flows
from retail_ray.analyst.plot_style import PALETTE
from retail_ray.analyst.plot_time import arrivals, occupancy
from retail_ray.analyst.plot_waits import waits

__all__ = ["PALETTE", "arrivals", "floor_plan", "flows", "heat", "occupancy", "waits"]
