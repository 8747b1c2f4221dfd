"""`/v1/heat`: presence over the floor and its hotspots."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from retail_ray.api.models import CoverageBody
from retail_ray.api.params import IntervalQuery
from retail_ray.api.problems import Problem
from retail_ray.lake.heat import HeatGrid, heat
from retail_ray.lake.questions import coverage

if TYPE_CHECKING:
    from retail_ray.api.answers import Answers

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": Problem, "description": "The request or its values cannot be understood."},
    503: {"model": Problem, "description": "The lake or the running site cannot be reached."},
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)


class SquareBody(_Body):
    """One square of the floor."""

    x0_m: float = Field(description="Lower x, metres.")
    y0_m: float = Field(description="Lower y, metres.")
    presence_s: float = Field(description="Seconds of presence; a person in several cameras counts once.")
    people: int = Field(description="The most people in any of its hours.")


class HotspotBody(_Body):
    """A square with more presence than its neighbours."""

    x0_m: float
    y0_m: float
    presence_s: float


class GridBody(_Body):
    """All squares of one size that anybody was in."""

    cell_m: float = Field(description="Side of a square, metres.")
    squares: list[SquareBody]
    hotspots: list[HotspotBody]
    suppressed: int = Field(description="Squares left out because fewer than `min_people` people were in them.")


class HeatAnswer(_Body):
    """Presence of the hours that the interval touches, staff included; one grid per size of square on record."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    coverage: CoverageBody
    grids: list[GridBody]


class HeatQuery(IntervalQuery):
    """Interval, and what is shown."""

    min_people: int = Field(1, ge=1, le=1000, description="Leave out squares that fewer people were in.")
    hotspots: int = Field(10, ge=0, le=100, description="At most so many hotspots, the strongest first.")


def heat_router(answers: Answers) -> APIRouter:
    router = APIRouter(responses=_RESPONSES, tags=["questions"])

    @router.get("/heat", summary="Seconds of presence over the floor, and hotspots")
    def presence(query: Annotated[HeatQuery, Query()]) -> HeatAnswer:
        question, lake = answers.question(query), answers.lake()
        grids = heat(lake, question, query.min_people, query.hotspots)
        return HeatAnswer(**answers.about(coverage(lake, question)), grids=[_grid(grid) for grid in grids])

    return router


def _grid(grid: HeatGrid) -> GridBody:
    return GridBody(
        cell_m=grid.cell_m,
        squares=[
            SquareBody(x0_m=square.x0_m, y0_m=square.y0_m, presence_s=square.presence_s, people=square.people)
            for square in grid.squares
        ],
        hotspots=[HotspotBody(x0_m=spot.x0_m, y0_m=spot.y0_m, presence_s=spot.presence_s) for spot in grid.hotspots],
        suppressed=grid.suppressed,
    )
