"""The FastAPI application: routes, headers, the page, and an OpenAPI document that is true."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from retail_ray.api import models, problems
from retail_ray.api.alerts import alerts_router
from retail_ray.api.answers import Answers
from retail_ray.api.heat import heat_router
from retail_ray.api.metrics import metrics_router
from retail_ray.api.params import FootfallQuery, IntervalQuery, JourneysQuery, PageQuery, TracksQuery
from retail_ray.api.problems import MEDIA_TYPE, Problem
from retail_ray.api.queues import queues_router
from retail_ray.api.site import LiveState, SiteInfo

STATIC: Final = Path(__file__).parent / "static"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_INVALID: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": Problem, "description": "The request or its values cannot be understood."},
    503: {"model": Problem, "description": "The lake or the running site cannot be reached."},
}
_UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "There is no such line, zone or camera; `known` lists those there are."}
}
_UNREACHABLE: Final[dict[int | str, dict[str, Any]]] = {503: _INVALID[503]}


def wall_clock_us() -> int:
    """Microseconds UTC of this machine's clock, which decides what 'today' is."""
    return time.time_ns() // 1000


def create_app(
    lake_root: Path,
    site: SiteInfo,
    live: LiveState | None = None,
    now_us: Callable[[], int] = wall_clock_us,
) -> FastAPI:
    """The API and page of one site over its lake; `live` is asked for what runs now, if anything does.

    The application holds locks and a database: build it in the process that serves it.
    """
    answers = Answers(lake_root, site, live, now_us)

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        yield
        answers.close()

    app = FastAPI(
        title="retail-ray",
        version="1",
        summary=f"Footfall, dwell and tracks of {site.name}",
        description="Every answer carries the interval it is about and its coverage. Days are business days of the "
        f"site ({site.timezone}, from {site.day_start.isoformat('minutes')}).",
        docs_url=None,
        redoc_url=None,
        lifespan=closing,
    )
    problems.install(app)
    app.include_router(_health(answers))
    app.include_router(_questions(answers), prefix="/v1")
    app.include_router(_people(answers), prefix="/v1")
    app.include_router(metrics_router(answers), prefix="/v1")
    app.include_router(alerts_router(answers, _INVALID), prefix="/v1")
    app.include_router(queues_router(answers), prefix="/v1")
    app.include_router(heat_router(answers), prefix="/v1")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/", _page, include_in_schema=False)
    app.middleware("http")(_with_headers)
    _describe_problems(app)
    return app


def _health(answers: Answers) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether the process answers")
    def healthz() -> models.HealthBody:
        return models.HealthBody(status="ok")

    @router.get("/readyz", summary="Whether the lake can be read", responses=_UNREACHABLE)
    def readyz() -> models.HealthBody:
        return answers.ready()

    return router


def _questions(answers: Answers) -> APIRouter:
    router = APIRouter(responses=_INVALID, tags=["questions"])

    @router.get("/site", summary="Site, and the days on record")
    def site() -> models.SiteAnswer:
        return answers.site()

    @router.get("/stats", summary="Totals of an interval")
    def stats(query: Annotated[IntervalQuery, Query()]) -> models.StatsAnswer:
        return answers.stats(query)

    @router.get("/footfall", summary="Entries and exits per minute, hour or day", responses=_UNKNOWN)
    def footfall(query: Annotated[FootfallQuery, Query()]) -> models.FootfallAnswer:
        return answers.footfall(query)

    @router.get("/zones", summary="Stays in every zone")
    def zones(query: Annotated[IntervalQuery, Query()]) -> models.ZonesAnswer:
        return answers.zones(query)

    @router.get("/zones/{zone_id:path}/visits", summary="Stays in one zone", responses=_UNKNOWN)
    def visits(
        zone_id: Annotated[str, PathParameter(description="Id of the zone.", examples=["checkout"])],
        query: Annotated[PageQuery, Query()],
    ) -> models.VisitsAnswer:
        return answers.visits(zone_id, query)

    @router.get("/tracks", summary="Tracklets of an interval", responses=_UNKNOWN)
    def tracks(query: Annotated[TracksQuery, Query()]) -> models.TracksAnswer:
        return answers.tracks(query)

    @router.get("/cameras", summary="Cameras, their coverage and state")
    def cameras(query: Annotated[IntervalQuery, Query()]) -> models.CamerasAnswer:
        return answers.cameras(query)

    @router.post(
        "/reset-daily",
        summary="Begin a new identity session; deletes nothing",
        responses={409: {"model": Problem, "description": "No site is running."}},
    )
    def reset_daily() -> models.ResetAnswer:
        return answers.reset_session()

    return router


def _people(answers: Answers) -> APIRouter:
    """What rests on recognising people."""
    router = APIRouter(responses=_INVALID, tags=["questions"])

    @router.get("/journeys", summary="Visits of people, with their zone stays", responses=_UNKNOWN)
    def journeys(query: Annotated[JourneysQuery, Query()]) -> models.JourneysAnswer:
        return answers.journeys(query)

    @router.get("/visitors", summary="Unique visitors of each business day, as a range")
    def visitors(query: Annotated[IntervalQuery, Query()]) -> models.VisitorsAnswer:
        return answers.visitors(query)

    return router


def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html")


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


def _describe_problems(app: FastAPI) -> None:
    """Errors are problem+json, also in the OpenAPI document."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        for path in document["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if not status.startswith("2") and "application/json" in response.get("content", {}):
                        response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
