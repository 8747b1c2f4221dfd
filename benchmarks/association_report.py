"""Tables about who is who on simulated stores: scores, ablations, rivals, stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.markdown import table

PRODUCT, EMITTED, TRUE = "product, revised", "product, as emitted", "true identities of the tracklets"
RIVALS = ("greedy nearest embedding", "agglomerative clustering of looks", "every tracklet a new person")
WHO = ("IDF1 on the floor", "IDF1 over cameras", "link precision", "link recall", "false merges", "false splits")
COUNTED = ("IDF1 on the floor", "IDF1 over cameras", "identities too many", "identities of 3 s or more too many")
VISITORS = (
    "identities of 3 s or more too many",
    "visitors, estimated, error",
    "visitors, estimated, error, absolute",
    "true number in its range",
    "width of its range",
)
DOORS = ("door precision", "door recall", "IDF1 in cameras", "pure tracklets")


def association_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; nothing where it was not measured."""
    if report is None:
        return {}
    everything = report["groups"]["all"]
    ablations = [name for name in everything if name.startswith("with")]
    return {
        "identity, conditions": _conditions(report),
        "identity, scores": _scores(report["groups"]),
        "identity, ablations": _variants(everything, (PRODUCT, EMITTED, *ablations), WHO),
        "identity, rivals": _variants(everything, (PRODUCT, *RIVALS, TRUE), WHO),
        "identity, tracklets and doors": _variants(everything, (PRODUCT,), DOORS),
        "identity, visitors": _visitors(report["groups"]),
        "identity, stress": _stress(report),
    } | ({"identity, links": _links(report["links"])} if "links" in report else {})


def pair_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """What the floor's evidence is worth; nothing where it was not measured."""
    if report is None:
        return {}
    ticks = list(report["rows"][0]["by ticks"])
    headings = (
        "mean of the ticks, nats",
        "pairs of one person",
        "of two",
        "counted nats",
        *(f"{n} ticks" for n in ticks),
    )
    rows = [
        [row["mean"], row["of one person"], row["of two"], *map(_nats, (row["nats"], *row["by ticks"].values()))]
        for row in report["rows"]
    ]
    return {"identity, pairs": table(headings, rows)}


def _nats(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _conditions(report: Mapping[str, Any]) -> str:
    how, cases = report["conditions"], report["cases"]
    people, tracklets = (sum(case[key] for case in cases) for key in ("people", "tracklets"))
    return (
        f"{len(cases)} frozen cases of {how['seconds']:g} s, {how['size_px'][0]}×{how['size_px'][1]}, "
        f"{how['frames_per_s']:g} frames/s; {people} people, {tracklets:,} tracklets. "
        f"Detector {how['weights']['detector']}, embedder {how['weights']['embedder']}; "
        f"masks, where they are, by {how['weights']['segmenter']}.\n"
    )


def _scores(groups: Mapping[str, Any]) -> str:
    rows = []
    for group, entry in groups.items():
        for variant in (EMITTED, PRODUCT, TRUE):
            cells = [_cell(entry[variant].get(name)) for name in COUNTED]
            rows.append([group, entry["cases"], variant, *cells])
    return table(["stores", "cases", "identities", *COUNTED], rows)


def _visitors(groups: Mapping[str, Any]) -> str:
    rows = [[name, of["cases"], *(_cell(of[PRODUCT].get(key)) for key in VISITORS)] for name, of in groups.items()]
    return table(["stores", "cases", *VISITORS], rows)


def _variants(entry: Mapping[str, Any], names: Sequence[str], measures: Sequence[str]) -> str:
    return table(["", *measures], ([name, *(_cell(entry[name].get(key)) for key in measures)] for name in names))


def _links(links: Mapping[str, Mapping[str, float]]) -> str:
    cells = ([name, of["links"], f"{of['p_same']:.3f}", f"{of['right']:.3f}"] for name, of in links.items())
    return table(["p_same", "links", "mean of it", "right"], cells)


def _stress(report: Mapping[str, Any]) -> str:
    unharmed = report["groups"]["all"][PRODUCT]["IDF1 on the floor"]
    rows = [["none", "–", _cell(unharmed)]]
    rows += [[name, amount, _cell(value)] for name, of in report["stress"].items() for amount, value in of.items()]
    return table(["harm", "amount", "IDF1 on the floor"], rows)


def _cell(entry: Mapping[str, float] | None) -> str:
    if entry is None:
        return "–"
    if "low" not in entry:
        return f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} ({entry['low']:.2f} to {entry['high']:.2f})"
