"""Tables about ways between cameras that do not meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table
from benchmarks.visitor_estimate import VISITORS

PARTS = ("links", "visitors")


def transit_tables(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; nothing before it was measured."""
    if found is None:
        return {}
    first_row = next(iter(found["links"].values()))
    labels = {part: [label for label in first_row if (label in VISITORS) is (part == "visitors")] for part in PARTS}
    of = {
        part: table(
            ["", *labels[part]],
            ([name, *(_shown(row[label]) for label in labels[part])] for name, row in found["links"].items()),
        )
        for part in PARTS
    }
    first = ([name, _shown(row)] for name, row in found["first"].items())
    return {
        **{f"transit, {part}": shown for part, shown in of.items()},
        "transit, first": table(["by", "right one first"], first),
    }


def _shown(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.2f} to {one['high']:.2f})"
