"""Every error as application/problem+json (RFC 9457): what is wrong, and what would be right."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from retail_ray.core.errors import LakeError, QueryError, RetailRayError, StuckError
from retail_ray.core.uris import mask_credentials

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class FieldFault(BaseModel):
    """One value of the request that cannot be used."""

    model_config = ConfigDict(extra="forbid")
    field: str
    message: str


class Problem(BaseModel):
    """Body of every error."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Unknown zone",
                "status": 404,
                "detail": "There is no zone 'tills'.",
                "known": ["entrance", "checkout"],
                "errors": [],
            }
        },
    )
    type: str = Field("about:blank", description="A URI that names the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request, and what would be right.")
    known: list[str] = Field(default_factory=list, description="Names that would have been understood.")
    errors: list[FieldFault] = Field(default_factory=list, description="Each value that cannot be used.")


class ProblemError(RetailRayError):
    """Answer the request with this problem."""

    def __init__(self, status: int, title: str, detail: str, known: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.problem = Problem(type="about:blank", title=title, status=status, detail=detail, known=list(known))


def invalid(field: str, message: str) -> ProblemError:
    """422 for one value of the request."""
    error = ProblemError(422, "Invalid request", f"{field}: {message}")
    error.problem.errors.append(FieldFault(field=field, message=message))
    return error


def unknown(kind: str, name: str, known: Sequence[str]) -> ProblemError:
    """404 that lists what there is."""
    return ProblemError(404, f"Unknown {kind}", f"There is no {kind} '{printable(name)}'.", known)


def printable(text: str) -> str:
    """Text of a request, short and safe to send back."""
    safe = text.encode("utf-8", "replace").decode()
    return safe if len(safe) <= 100 else safe[:100] + "…"


def install(app: FastAPI) -> None:
    """Answer all errors of `app` as problems."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RetailRayError, _retail_ray)
    app.add_exception_handler(Exception, _unexpected)


def _answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(), problem.status, headers, media_type=MEDIA_TYPE)


def _problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return _answer(error.problem)


def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    faults: list[Any] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    errors = [
        FieldFault(field=printable(str(fault["loc"][-1])), message=printable(str(fault["msg"]))) for fault in faults
    ]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in errors)
    return _answer(Problem(type="about:blank", title="Invalid request", status=422, detail=detail, errors=errors))


def _http(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    title = str(error.detail) if isinstance(error, HTTPException) else "Error"
    detail = {404: "Nothing is at this address; openapi.json lists what there is.", 405: "Use another method."}
    return _answer(Problem(type="about:blank", title=title, status=status, detail=detail.get(status, title)), headers)


def _retail_ray(_request: Request, error: Exception) -> JSONResponse:
    status, title = 500, "The request failed"
    if isinstance(error, QueryError):
        status, title = 422, "The question cannot be answered"
    elif isinstance(error, LakeError):
        status, title = 503, "The lake cannot be read"
    elif isinstance(error, StuckError):
        status, title = 503, "The running site does not answer"
    if status >= 500:
        _log.error("%s: %s", title, mask_credentials(str(error)))
    return _answer(Problem(type="about:blank", title=title, status=status, detail=mask_credentials(str(error))))


def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    _log.exception("unexpected error", exc_info=error)
    problem = Problem(
        type="about:blank", title="Internal error", status=500, detail="An unexpected error; the server's log has it."
    )
    return _answer(problem)
