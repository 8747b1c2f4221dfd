"""How commands of `retail-ray` refuse: one message on stderr and exit code 2."""

from __future__ import annotations

import sys
from typing import Any

import click

from retail_ray.core.errors import RetailRayError
from retail_ray.core.uris import mask_credentials

REFUSED = 2


class refusals:  # noqa: N801 - reads as a statement
    """Turns our errors into one message on stderr and exit code 2."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RetailRayError):
            click.echo(f"retail-ray: {mask_credentials(str(error))}", err=True)
            sys.exit(REFUSED)
