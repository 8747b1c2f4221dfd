"""Tables and plots of the accuracy on simulated stores, from the key `simulated` of accuracy.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from benchmarks.pooled import MIN_CASES

LADDER = (
    "true boxes, tracklets and identities",
    "true boxes and tracklets",
    "true boxes",
    "detector, no masks, no appearance",
    "everything",
    "everything, and masks",
)
CONTROLS = (
    "everything",
    "shuffled embeddings",
    "colour histogram instead of the embedder",
    "calibration of other cameras",
    "everyone one person",
    "every tracklet a new person",
)
TRACKING = (
    "HOTA in cameras",
    "DetA in cameras",
    "AssA in cameras",
    "IDF1 in cameras",
    "MOTA in cameras",
    "id switches in cameras",
)
OVER_CAMERAS = ("IDF1 over cameras", "HOTA over cameras", "IDF1 on the floor", "HOTA on the floor")
LINKS = ("link precision", "link recall", "identities per person", "false merges", "false splits", "visitor error")
RETAIL = (
    "door F1",
    "door accuracy",
    "door accuracy, worst hour",
    "occupancy error",
    "dwell error, s",
    "stays found",
    "stays right",
)
QUEUES = ("queue length error, people", "queue wait error, s", "abandonment recall")
JUDGED = ("IDF1 over cameras", "IDF1 on the floor", "link precision", "link recall", "visitor error")
STEPS: dict[str, tuple[str | None, str]] = {
    "foot points and calibrated floor": (None, LADDER[0]),
    "association of tracklets": (LADDER[0], LADDER[1]),
    "tracking": (LADDER[1], LADDER[2]),
    "detection": (LADDER[2], LADDER[4]),
}
"""What is lost between two rungs of the ladder; None: a perfect score."""
GAINS: dict[str, tuple[str | None, str]] = {
    "appearance": (LADDER[3], LADDER[4]),
    "masks": (LADDER[4], LADDER[5]),
}
"""What a stage brings that the product can do without."""
PLOTTED = ("HOTA in cameras", "IDF1 in cameras", "IDF1 over cameras", "IDF1 on the floor", "link recall", "stays found")
_BINS = "recall_by_height_and_visibility."

Entry = Mapping[str, Any] | None


def simulated_tables(report: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> Markdown; none where nothing was measured. Tables by rung are those of the first set of weights."""
    if report is None:
        return {}
    sets = report["sets"]
    first = next(iter(sets.values()))
    variants = first["variants"]
    return {
        "simulated, conditions": conditions(report),
        "simulated, tracking by rung": _variants(variants, LADDER, TRACKING),
        "simulated, over cameras by rung": _variants(variants, LADDER, OVER_CAMERAS),
        "simulated, links by rung": _variants(variants, LADDER, LINKS),
        "simulated, retail by rung": _variants(variants, LADDER, RETAIL),
        "simulated, queues by rung": _variants(variants, LADDER, QUEUES) + "\n" + reasons(variants, LADDER, QUEUES),
        "simulated, loss by stage": differences("lost by", first["losses"]),
        "simulated, gain by stage": differences("gained by", first["gains"]),
        "simulated, weights side by side": side_by_side(sets),
        "simulated, negative controls": _variants(variants, CONTROLS, JUDGED),
        "simulated, appearance": appearance(sets),
        "simulated, detector": detector(first["detector"]),
    }


def conditions(report: Mapping[str, Any]) -> str:
    width, height = report["size_px"]
    lines = [f"{report['seconds']:g} s each, {width}×{height}, {report['frames_per_s']:g} frames/s."]
    for found in report["sets"].values():
        cases = found["cases"]
        names = ", ".join(case["case"] for case in cases)
        weights = found["weights"]
        lines.append(
            f"- **{found['name']}**: {len(cases)} frozen cases ({names}), {sum(case['people'] for case in cases)} "
            f"people. Detector {weights['detector']}, embedder {weights['embedder']}, segmenter {weights['segmenter']}."
        )
    return "\n".join([lines[0], "", *lines[1:], "", interval_words(report)]) + "\n"


def interval_words(report: Mapping[str, Any]) -> str:
    cases = [len(found["cases"]) for found in report["sets"].values()]
    words = []
    if max(cases) >= MIN_CASES:
        words.append("Numbers in (round) brackets are 95 % intervals: bootstraps over the cases.")
    if min(cases) < MIN_CASES:
        words.append(
            f"Fewer than {MIN_CASES} cases give no interval worth its name: [square] brackets hold the lowest and the "
            "highest of the cases."
        )
    return " ".join(words)


def differences(heading: str, found: Mapping[str, Mapping[str, Entry]]) -> str:
    """How much of each score goes or comes from one rung to the next."""
    labels = list(next(iter(found.values())))
    return table([heading, *labels], ([stage, *map(_shown, entries.values())] for stage, entries in found.items()))


def side_by_side(sets: Mapping[str, Any]) -> str:
    """`everything` with each set of weights; the detector's recalls."""
    labels = (*TRACKING, *OVER_CAMERAS, *LINKS, *RETAIL)
    rows = [[label, *(_shown(s["variants"]["everything"][label]) for s in sets.values())] for label in labels]
    recalls = {"detector recall": "recall", "80 px, half visible": "recall_80px_half_visible"}
    rows += [[label, *(_with_n(s["detector"].get(name)) for s in sets.values())] for label, name in recalls.items()]
    return table(["", *(f"{found['name']}, {len(found['cases'])} cases" for found in sets.values())], rows)


def reasons(variants: Mapping[str, Any], names: Sequence[str], labels: Sequence[str]) -> str:
    """Why something was not measured, each reason once."""
    found = [variants[name][label] for name in names for label in labels]
    words = dict.fromkeys(entry["not_measured"] for entry in found if "not_measured" in entry)
    return f"Not measured: {'; '.join(words)}.\n" if words else ""


def appearance(sets: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{kind}, {found['name']}" if kind == "embedder" else kind,
            _shown(scores.get("auc")),
            _shown(scores.get("rank_1")),
        ]
        for number, found in enumerate(sets.values())
        for kind, scores in found["appearance"].items()
        if kind == "embedder" or number == 0
    ]
    return table(["described by", "area under ROC, same against different person", "rank-1 in another camera"], rows)


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
    variants = next(iter(report["sets"].values()))["variants"]
    _bars(folder / "accuracy-ladder.svg", variants, LADDER, PLOTTED)
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
    """Height, and how far interval or range reach below and above; nothing where it was not measured."""
    if entry is None or "not_measured" in entry:
        return 0.0, 0.0, 0.0
    value = entry["value"]
    low, high = (
        entry.get(*names) for names in (("low", entry.get("lowest", value)), ("high", entry.get("highest", value)))
    )
    return value, max(0.0, value - low), max(0.0, high - value)


def _variants(variants: Mapping[str, Any], names: Sequence[str], labels: Sequence[str]) -> str:
    return table(["", *labels], ([name, *(_shown(variants[name][label]) for label in labels)] for name in names))


def _shown(entry: Entry) -> str:
    if entry is None or "not_measured" in entry:
        return "not measured"
    spread = ""
    if "low" in entry:
        spread = f" ({entry['low']:.2f} to {entry['high']:.2f})"
    elif "lowest" in entry:
        spread = f" [{entry['lowest']:.2f} to {entry['highest']:.2f}]"
    return f"{entry['value']:.3f}{spread}"


def _with_n(entry: Entry) -> str:
    """A share with its Wilson interval and what it was counted over."""
    if entry is None or "not_measured" in entry:
        return "–"
    return f"{entry['value']:.3f} ({entry['low']:.2f} to {entry['high']:.2f}) of {entry['n']}"


def _first_number(words: str) -> float:
    return float(words.split(maxsplit=1)[0].rstrip("%"))
