"""Tables of staff probability and groups, from people_traits.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table

_ALONE = "exact, no staff zones or checkouts known"


def people_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    return {
        "people, staff": staff(report),
        "people, visitors": visitors(report),
        "people, groups": groups(report["groups"]),
        "people, entries": entries(report["groups"]),
    }


def staff(report: Mapping[str, Any]) -> str:
    control = {
        "control: truth given to other people": {max(report["staff"]["exact"], key=int): report["staff_control"]}
    }
    rows = report["staff"] | {_ALONE: report["staff_without_areas"]} | control
    return table(
        ["identities", "minutes", "Brier", "ROC AUC", "precision", "recall"],
        (
            [name, minutes, _number(s["brier"], 4), _number(s["auc"]), _number(s["precision"]), _number(s["recall"])]
            for name, by_length in rows.items()
            for minutes, s in by_length.items()
        ),
    )


def visitors(report: Mapping[str, Any]) -> str:
    return table(
        ["identities", "minutes", "people but staff", "identities", "error", "without staff", "error"],
        (
            [
                name,
                minutes,
                s["people_without_staff"],
                s["identities"],
                f"{s['raw_error']:+.1%}",
                s["identities_without_staff"],
                f"{s['staff_excluded_error']:+.1%}",
            ]
            for name, by_length in report["staff"].items()
            for minutes, s in by_length.items()
        ),
    )


def groups(rows: Mapping[str, Any]) -> str:
    return table(
        ["identities", "pairs found", "true pairs", "precision", "recall", "F1"],
        (
            [
                name,
                s["precision"].get("n", 0),
                s["recall"]["n"],
                _number(s["precision"]),
                _number(s["recall"]),
                f"{s['f1']['value']:.3f}",
            ]
            for name, s in rows.items()
        ),
    )


def entries(rows: Mapping[str, Any]) -> str:
    kept = {name: rows[name] for name in ("exact", "noisy", "fragmented")}
    return table(
        ["identities", "entries of persons", "entries of groups", "true entries of groups"],
        (
            [name, s["entries_of_persons"], s["entries_of_groups"], s["true_entries_of_groups"]]
            for name, s in kept.items()
        ),
    )


def _number(measure: Mapping[str, Any], digits: int = 3) -> str:
    """Value and 95 % interval."""
    if measure["value"] is None:
        return "–"
    interval = f" ({measure['low']:.{digits}f}–{measure['high']:.{digits}f})" if "low" in measure else ""
    return f"{measure['value']:.{digits}f}{interval}"
