"""Tables of queues and heat against the truth, from queues.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def queue_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    return {
        "queues, scenes": scenes(report),
        "queues, accuracy": accuracy(report),
        "queues, abandonment": given_up(report),
    }


def scenes(report: Mapping[str, Any]) -> str:
    some = next(iter(report["conditions"].values()))
    return (
        f"{some['stores']} stores of {report['minutes']:g} minutes each, {some['lane_minutes']} lane-minutes, "
        f"{some['true_visits']} true visits to lanes, {some['abandoned_true']} of them given up; "
        f"heat in squares of {report['cell_m']:g} m.\n"
    )


def accuracy(report: Mapping[str, Any]) -> str:
    """One row per condition."""
    return table(
        ["floor points", "queue length, MAE", "median wait: true, found", "off by", "a visit's wait, median error",
         "true visits found", "visits in the lake that are one", "heat, correlation: mean, lowest"],
        (
            [
                name,
                f"{row['length_mae']:.2f}",
                f"{row['wait_median_true_s']:.1f} s, {row['wait_median_found_s']:.1f} s",
                f"{100 * row['wait_median_error']:.1f} %",
                "–" if row["wait_error_median_s"] is None else f"{row['wait_error_median_s']:.1f} s",
                f"{row['visits_found']} of {row['true_visits']}",
                f"{row['visits_found']} of {row['visits_in_lake']}",
                f"{row['heat_correlation_mean']:.3f}, {row['heat_correlation_lowest']:.3f}",
            ]
            for name, row in report["conditions"].items()
        ),
    )  # fmt: skip


def given_up(report: Mapping[str, Any]) -> str:
    """Precision and recall of abandonment."""
    return table(
        ["floor points", "true", "found", "precision", "recall"],
        (
            [name, row["abandoned_true"], row["abandoned_found"], *(
                "–" if row[f"abandonment_{what}"] is None else f"{row[f'abandonment_{what}']:.2f}"
                for what in ("precision", "recall")
            )]
            for name, row in report["conditions"].items()
        ),
    )  # fmt: skip
