"""Tables and plots of the accuracy on simulated stores, from the key `simulated` of accuracy.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import table

LADDER = (
    "true boxes, tracklets and identities",
    "true boxes and tracklets",
    "true boxes",
    "detector, no masks, no appearance",
    "everything",
)
CONTROLS = (
    "everything",
    "shuffled embeddings",
    "colour histogram instead of the embedder",
    "calibration of another camera",
    "everyone one person",
    "every tracklet a new person",
)
TRACKING = ("HOTA in cameras", "IDF1 in cameras", "MOTA in cameras", "IDF1 over cameras", "IDF1 on the floor")
LINKS = ("link precision", "link recall", "identities per person", "false merges", "false splits", "visitor error")
RETAIL = ("door F1", "door accuracy", "occupancy error", "dwell error, s", "stays found", "stays right")
JUDGED = ("IDF1 over cameras", "IDF1 on the floor", "link precision", "link recall", "visitor error")
STEPS: dict[str, tuple[str | None, str]] = {
    "foot points and calibrated floor": (None, LADDER[0]),
    "association of tracklets": (LADDER[0], LADDER[1]),
    "tracking": (LADDER[1], LADDER[2]),
    "detection": (LADDER[2], LADDER[4]),
}
"""What lies between two rungs of the ladder; None: a perfect score."""
_BINS = "recall_by_height_and_visibility."

Entry = Mapping[str, Any] | None


def simulated_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured."""
    if report is None:
        return {}
    variants = report["variants"]
    return {
        "simulated, conditions": conditions(report),
        "simulated, tracking by rung": _variants(variants, LADDER, TRACKING),
        "simulated, links by rung": _variants(variants, LADDER, LINKS),
        "simulated, retail by rung": _variants(variants, LADDER, RETAIL),
        "simulated, loss by stage": losses(report["losses"]),
        "simulated, negative controls": _variants(variants, CONTROLS, JUDGED),
        "simulated, appearance": appearance(report["appearance"]),
        "simulated, detector": detector(report["detector"]),
    }


def conditions(report: Mapping[str, Any]) -> str:
    width, height = report["size_px"]
    cases = report["cases"]
    names = ", ".join(case["case"] for case in cases)
    weights = {role: name or "the site's own" for role, name in report["weights"].items()}
    return (
        f"{len(cases)} frozen cases ({names}), {report['seconds']:g} s each, {width}×{height}, "
        f"{report['frames_per_s']:g} frames/s, {sum(case['people'] for case in cases)} people. "
        f"Detector: {weights['detector']}; embedder: {weights['embedder']}; segmenter: {weights['segmenter']}.\n"
    )


def losses(found: Mapping[str, Mapping[str, Entry]]) -> str:
    """How much of each score goes from one rung to the next."""
    labels = list(next(iter(found.values())))
    return table(["lost by", *labels], ([stage, *map(_shown, entries.values())] for stage, entries in found.items()))


def appearance(found: Mapping[str, Any]) -> str:
    return table(
        ["described by", "area under ROC, same against different person", "rank-1 in another camera"],
        ([kind, _shown(scores.get("auc")), _shown(scores.get("rank_1"))] for kind, scores in found.items()),
    )


def detector(found: Mapping[str, Entry]) -> str:
    """Recall by height in the picture and by visible share."""
    cells = {tuple(name.removeprefix(_BINS).split(".")): entry for name, entry in found.items() if _BINS in name}
    heights = sorted({key[0] for key in cells}, key=_first_number)
    shares = sorted({key[1] for key in cells}, key=_first_number)
    rows = [[height, *(_with_n(cells.get((height, share))) for share in shares)] for height in heights]
    summary = [["all that must be found", *[""] * (len(shares) - 1), _with_n(found.get("recall"))]]
    summary += [["80 px, half visible", *[""] * (len(shares) - 1), _with_n(found.get("recall_80px_half_visible"))]]
    summary += [["precision of all boxes", *[""] * (len(shares) - 1), _with_n(found.get("precision"))]]
    return table(["height in the picture", *shares], rows + summary)


def draw_plots(report: Mapping[str, Any] | None, folder: Path) -> None:
    """docs/accuracy-ladder.svg and docs/accuracy-controls.svg; the same numbers give the same bytes."""
    if report is None:
        return
    variants = report["variants"]
    _bars(
        folder / "accuracy-ladder.svg", variants, LADDER, (*TRACKING[:2], *TRACKING[3:], "link recall", "stays found")
    )
    _bars(folder / "accuracy-controls.svg", variants, CONTROLS, JUDGED[:4])


def _bars(path: Path, variants: Mapping[str, Any], names: Sequence[str], labels: Sequence[str]) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        bars = [_bar(variants[name][label]) for label in labels]
        at = [place + number * width for place in range(len(labels))]
        values, below, above = zip(*bars, strict=True)
        axes.bar(at, values, width, yerr=[below, above], label=name, error_kw={"linewidth": 0.8})
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(labels))], labels)
    axes.set_ylim(0, 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    with mpl.rc_context({"svg.hashsalt": "retail-ray", "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_figure(str(path), format="svg", metadata={"Date": None})


def _bar(entry: Entry) -> tuple[float, float, float]:
    """Height, and how far the interval reaches below and above; nothing where it was not measured."""
    if entry is None:
        return 0.0, 0.0, 0.0
    value = entry["value"]
    return value, max(0.0, value - entry.get("low", value)), max(0.0, entry.get("high", value) - value)


def _variants(variants: Mapping[str, Any], names: Sequence[str], labels: Sequence[str]) -> str:
    return table(["", *labels], ([name, *(_shown(variants[name][label]) for label in labels)] for name in names))


def _shown(entry: Entry) -> str:
    if entry is None:
        return "not measured"
    interval = f" ({entry['low']:.2f} to {entry['high']:.2f})" if "low" in entry else ""
    return f"{entry['value']:.3f}{interval}"


def _with_n(entry: Entry) -> str:
    return "–" if entry is None else f"{entry['value']:.3f} of {entry['n']}"


def _first_number(words: str) -> float:
    return float(words.split(maxsplit=1)[0].rstrip("%"))
