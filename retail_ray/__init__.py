"""retail_ray: multi-camera retail video analytics on Ray.

`retail_ray.open("…")` opens a lake for analysis in Python, `retail_ray.plots` draws its answers,
`retail_ray.recount` says what other zones, lines or lanes would have counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retail_ray.analyst import plots
    from retail_ray.analyst.opened import open_store as open  # noqa: A004 - read as retail_ray.open
    from retail_ray.what_if import recount

__all__ = ["open", "plots", "recount"]


def __getattr__(name: str) -> Any:
    """Actors import this package too: DuckDB, Arrow and matplotlib come with the first use."""
    if name == "open":
        from retail_ray.analyst.opened import open_store

        return open_store
    if name == "plots":
        from retail_ray.analyst import plots

        return plots
    if name == "recount":
        from retail_ray.what_if import recount

        return recount
    raise AttributeError(f"module 'retail_ray' has no attribute {name!r}")
