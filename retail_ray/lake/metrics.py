"""The registry: every metric of the product once, with its meaning, its formula and how it may be asked for.

Documentation, HTTP API and command line are made from it. A change of meaning raises the metric's version.
"""

from __future__ import annotations

from typing import Final

from retail_ray.core.errors import QueryError
from retail_ray.lake.metric_types import Metric
from retail_ray.lake.metrics_of_doors import DOOR_METRICS
from retail_ray.lake.metrics_of_people import PEOPLE_METRICS
from retail_ray.lake.metrics_of_places import PLACE_METRICS

METRICS: Final[tuple[Metric, ...]] = (*DOOR_METRICS, *PEOPLE_METRICS, *PLACE_METRICS)

_BY_ID: Final = {metric.id: metric for metric in METRICS}


def metric(metric_id: str) -> Metric:
    """The metric of this id; QueryError names those there are."""
    if metric_id not in _BY_ID:
        raise QueryError(f"there is no metric '{metric_id}'; there are {', '.join(_BY_ID)}")
    return _BY_ID[metric_id]
