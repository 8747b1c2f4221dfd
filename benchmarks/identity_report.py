"""Tables about identities: the index of prototypes, what the gallery costs, whether runs agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table

Report = Mapping[str, Any] | None
ONE, SIXTEEN = "batch 1, 1 thread", "batch 16, 1 thread"


def identity_tables(index: Report, cost: Report, runs: Report, doubts: Report) -> dict[str, str]:
    """Name -> Markdown; what was not measured yet is left out."""
    made: dict[str, str] = {}
    if index is not None:
        made["prototype vectors"] = _likeness(index)
        made["prototype index"] = _plain(index)
        if any("product" in part for part in index.values()):
            made["prototype index, product"] = _product(index)
    if cost is not None:
        made["gallery cost, ticks"] = _ticks(cost)
        made["gallery cost, memory"] = _memory(cost)
    if runs is not None:
        made["determinism"] = _runs(runs)
    if doubts is not None:
        made["contradictions"] = _doubts(doubts)
    return made


def _likeness(index: Mapping[str, Any]) -> str:
    found = {size: part["likeness"] for size, part in index.items()}
    return table(
        ["vectors", "cosine, same person", "cosine, other people"],
        (
            [
                f"{int(size):,}",
                *(f"{one[f'{who}_mean']:.2f} ± {one[f'{who}_std']:.2f}" for who in ("same", "different")),
            ]
            for size, one in found.items()
        ),
    )


def _plain(index: Mapping[str, Any]) -> str:
    rows = [row for part in index.values() for row in part.get("plain", {}).get("rows", [])]
    return table(
        [
            *("vectors", "index", "looks at", "owner@1", "exact@10", "CPU ms a query", "wall, median", "wall, p95"),
            *("wall, batch 16", "add, µs", "remove, µs", "MiB per 1,000 people"),
        ],
        (
            [
                f"{row['size']:,}",
                row["kind"],
                row["probes"] or "all",
                f"{row['owner_at_1']:.3f}",
                f"{row['exact_at_10']:.3f}",
                *(_ms(row, ONE, key) for key in ("cpu", "p50", "p95")),
                _ms(row, SIXTEEN, "p50"),
                row["add_us"],
                "impossible" if row["remove_us"] is None else row["remove_us"],
                "–" if row["mib_per_1000_people"] is None else row["mib_per_1000_people"],
            ]
            for row in rows
        ),
    )


def _product(index: Mapping[str, Any]) -> str:
    return table(
        [
            *("vectors", "form", "owner@1", "people of exact@10", "CPU ms a query", "wall, median", "CPU ms, batch 16"),
            *("add, µs", "remove, µs", "built in, s"),
        ],
        (
            [
                f"{row['size']:,}",
                row["form"],
                f"{row['owner_at_1']:.3f}",
                f"{row['people_of_exact_at_10']:.3f}",
                *(_ms(row, ONE, key) for key in ("cpu", "p50")),
                _ms(row, SIXTEEN, "cpu"),
                row["add_us"],
                row["remove_us"],
                row["build_s"],
            ]
            for row in (part["product"] for part in index.values() if "product" in part)
        ),
    )


def _ms(row: Mapping[str, Any], way: str, key: str) -> str:
    found = row["ms_a_query"][way].get(key)
    return "–" if found is None else f"{found:.2f}"


def _ticks(cost: Mapping[str, Any]) -> str:
    return table(
        ["run", "people", "cameras", "ms a tick, median", "p95", "share of a core", "state, MiB"],
        (
            [label, row["people"], row["cameras"]]
            + (
                [row["why"], "–", "–", "–"]
                if row["ms_a_tick"] is None
                else [
                    row["ms_a_tick"]["p50"],
                    row["ms_a_tick"]["p95"],
                    f"{row['share_of_a_core']:.3f}",
                    row["state_mib"],
                ]
            )
            for label, entry in cost.items()
            for row in entry["ticks"]
        ),
    )


def _memory(cost: Mapping[str, Any]) -> str:
    names = ("true_people", "identities", "state_mib_per_1000_people", "seconds_for_a_crowd_early")
    return table(
        ["run", "people", "identities", "state, MiB per 1,000 people", "s for an early crowd", "s for the last crowd"],
        (
            [label, *(entry["memory"][name] for name in (*names, "seconds_for_a_crowd_late"))]
            for label, entry in cost.items()
        ),
    )


def _runs(report: Mapping[str, Any]) -> str:
    by_cores: dict[str, list[Mapping[str, Any]]] = {}
    for row in report["runs"]:
        by_cores.setdefault(row["cores"], []).append(row)
    return table(
        ["cores", "runs", "identities", "different files", "sha256 begins"],
        (
            [cores, len(rows), rows[0]["identities"], len({row["sha256"] for row in rows}), rows[0]["sha256"][:12]]
            for cores, rows in by_cores.items()
        ),
    )


def _doubts(report: Mapping[str, Any]) -> str:
    counts = ("cases", "wrong_cameras", "found", "right_cameras", "blamed_at_the_end", "blamed_at_any_time")
    return table(
        [
            "calibrations",
            "cases",
            "wrong cameras",
            "found",
            "right cameras",
            "blamed at the end",
            "blamed at any time",
            "found after, s",
        ],
        (
            [
                harm,
                *(row[name] for name in counts),
                "–" if row["found_after_s_median"] is None else row["found_after_s_median"],
            ]
            for harm, row in report["summary"].items()
        ),
    )
