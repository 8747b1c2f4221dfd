"""Tables about identities and visitors in ten minutes of video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.association_report import EMITTED, PRODUCT, RIVALS, TRUE, WHO
from benchmarks.markdown import table

_WAYS = {"visitors": "learnt on the site", "visitors, shipped share": "as shipped"}


def long_tables(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; nothing before it was measured."""
    if found is None:
        return {}
    who = [name for name in (PRODUCT, EMITTED, *RIVALS, TRUE) if name in found["identity"]]
    return {
        "long recordings, conditions": _conditions(found),
        "long recordings, identities": table(
            ["", *WHO, "door precision", "door recall"],
            ([name, *(_shown(found["identity"][name], label) for label in _LABELS)] for name in who),
        ),
        "long recordings, visitors": table(
            ["share of newcomers", "case", "minutes", "people", "visitors, estimated", "range holds it", "width"],
            (
                [
                    shown,
                    case["case"],
                    minutes,
                    int(at["people"]),
                    f"{(1 + at['visitors, estimated, error']) * at['people']:.1f}",
                    "yes" if at["true number in its range"] else "no",
                    f"{at['width of its range']:.2f}",
                ]
                for way, shown in _WAYS.items()
                for case in found["cases"]
                for minutes, at in case[way].items()
            ),
        ),
    }


_LABELS = (*WHO, "door precision", "door recall")


def _shown(row: Mapping[str, float], label: str) -> str:
    return f"{row[label]:.3f}" if label in row else "–"


def _conditions(found: Mapping[str, Any]) -> str:
    how = found["conditions"]
    cases = "; ".join(
        f"{case['case']}: {case['cameras']} cameras, {case['people']} people, {case['tracklets']:,} tracklets"
        for case in found["cases"]
    )
    return (
        f"{len(found['cases'])} frozen cases of {how['seconds'] / 60:g} minutes, {how['size_px'][0]}×"
        f"{how['size_px'][1]}, {how['frames_per_s']:g} frames/s, {how['arrivals_per_hour']:g} parties an hour come in. "
        f"{cases}. "
        f"Detector {how['weights']['detector']}, embedder {how['weights']['embedder']}.\n"
    )
