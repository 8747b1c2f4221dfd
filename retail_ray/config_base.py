"""What every section of `site.yaml` is built on."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Point = tuple[float, float]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$", description="lower case, digits, - and _")]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
