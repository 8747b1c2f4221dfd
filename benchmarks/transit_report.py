"""Tables about ways between cameras that do not meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def transit_tables(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; nothing before it was measured."""
    if found is None:
        return {}
    labels = list(next(iter(found["links"].values())))
    links = ([name, *(_shown(row[label]) for label in labels)] for name, row in found["links"].items())
    first = ([name, _shown(row)] for name, row in found["first"].items())
    return {
        "transit, links": table(["", *labels], links),
        "transit, first": table(["by", "right one first"], first),
    }


def _shown(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.2f} to {one['high']:.2f})"
