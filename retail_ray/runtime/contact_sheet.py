"""One picture of what a run found: a frame of every camera with boxes and identities, and their ways on the floor.

For simulated sites alone: of real people no picture leaves the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.config import Camera, Site
from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.core.time import US_PER_S, from_us
from retail_ray.core.types import Image
from retail_ray.lake.scored_rows import NOBODY, ScoredRows, read_scored_rows
from retail_ray.video.sources import open_source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PAPER, FAINT = "#1d2733", "#f7f8fa", "#b9c2cc"
_STEP_US = US_PER_S // 10
_TRAIL_US = 30 * US_PER_S
_LATEST_US = 2**62
_MARGIN_M = 2.0


@dataclass(frozen=True, slots=True)
class _Moment:
    """The boxes of one camera nearest to the chosen instant, with identities."""

    camera: Camera
    image: Image
    xyxy_px: NDArray[np.float64]
    identity: NDArray[np.int64]


def contact_sheet(site: Site, lake_root: Path, run_id: str, out: Path) -> None:
    """Write a PNG of the run's busiest instant. Raises ConfigError for a real site, LakeError without detections."""
    if not site.simulated:
        raise ConfigError(f"site '{site.site}' is not simulated: pictures of real people are not written")
    rows = read_scored_rows(lake_root, site.site, -_LATEST_US // 1000, _LATEST_US // 1000, run_id)
    if "detections" not in rows.tables:
        raise LakeError(f"{lake_root}: run '{run_id}' found nobody, so there is nothing to show")
    at_us = busiest_us(rows)
    moments = [_moment(site, camera, rows, at_us) for camera in site.cameras]
    _draw(site, rows, at_us, moments, out)


def busiest_us(rows: ScoredRows) -> int:
    """The instant at which most tracked boxes stand in all cameras together."""
    found = rows.tables["detections"]
    tracked = found["tracklet"] != NOBODY
    times = found["time_us"][tracked] if tracked.any() else found["time_us"]
    steps, counts = np.unique(times // _STEP_US, return_counts=True)
    smooth = np.convolve(counts, np.ones(5), mode="same")
    return int(steps[int(np.argmax(smooth))] * _STEP_US)


def _moment(site: Site, camera: Camera, rows: ScoredRows, at_us: int) -> _Moment:
    source = open_source(
        camera.id, camera.uri, camera.recorded_at_us, camera.analysis_fps, decoder_threads=site.runtime.decoder_threads
    )
    try:
        frame = next((frame for frame in source.frames() if frame.time_us >= at_us), None)
        if frame is None:
            raise LakeError(f"camera '{camera.id}': its video ends before {from_us(at_us):%H:%M:%S}")
        image, index = frame.native(), frame.index
    finally:
        source.close()
    found = rows.tables["detections"]
    mine = (found["camera_id"] == camera.id) & (found["frame_index"] == index) & (found["tracklet"] != NOBODY)
    boxes = np.stack([found[f"{name}_px"][mine] for name in ("x1", "y1", "x2", "y2")], axis=1)
    return _Moment(camera, image, boxes.astype(np.float64), rows.identity[found["tracklet"][mine]])


def _draw(site: Site, rows: ScoredRows, at_us: int, moments: list[_Moment], out: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    down = 2 if len(moments) > 1 else 1
    across = (len(moments) + down - 1) // down
    figure = Figure(figsize=(4.6 * across + 4.2, 2.6 * down + 0.7), facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(down, across + 1, width_ratios=[*[4.6] * across, 4.2])
    for number, moment in enumerate(moments):
        _draw_camera(figure.add_subplot(grid[number // across, number % across]), moment)
    _draw_floor(figure.add_subplot(grid[:, across]), site, rows, at_us)
    seen = len({int(i) for moment in moments for i in moment.identity if i != NOBODY})
    figure.suptitle(
        f"{site.site}, {from_us(at_us):%Y-%m-%d %H:%M:%S} UTC: {seen} identities in view", color=INK, fontsize=11
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


def _draw_camera(axes: Axes, moment: _Moment) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(moment.image, interpolation="lanczos")
    for (x1, y1, x2, y2), identity in zip(moment.xyxy_px, moment.identity, strict=True):
        colour = colour_of(int(identity))
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.6))
        label = "?" if identity == NOBODY else f"{identity}"
        box: dict[str, Any] = {"facecolor": colour, "edgecolor": "none", "pad": 1.2}
        axes.text(x1, y1, label, color="white", fontsize=7.5, fontweight="bold", va="bottom", bbox=box, clip_on=True)
    axes.set_title(moment.camera.id, fontsize=9, color=INK, loc="left", pad=3)
    axes.set_axis_off()


def _draw_floor(axes: Axes, site: Site, rows: ScoredRows, at_us: int) -> None:
    for zone in site.zones:
        if zone.m is not None:
            _outline(axes, zone.m, zone.name or zone.id)
    for lane in site.queues:
        _outline(axes, lane.service_m, "")
        axes.plot(*np.array(lane.lane_m).T, color=FAINT, linewidth=5, alpha=0.5, solid_capstyle="round")
    for line in site.lines:
        if line.m is not None:
            axes.plot(*np.array(line.m).T, color=INK, linewidth=2.5)
            axes.annotate(line.id, line.m[0], fontsize=7, color=INK, xytext=(3, 3), textcoords="offset points")
    _draw_ways(axes, rows, at_us)
    corners = np.array([*_drawn_m(site)])
    if len(corners):
        (left, bottom), (right, top) = corners.min(axis=0) - _MARGIN_M, corners.max(axis=0) + _MARGIN_M
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    axes.set_facecolor("white")
    axes.tick_params(labelsize=7, colors=INK)
    axes.set_xlabel("m", fontsize=8, color=INK)
    axes.set_title(f"floor: the last {_TRAIL_US // US_PER_S} s", fontsize=9, color=INK, loc="left", pad=3)


def _drawn_m(site: Site) -> Iterator[tuple[float, float]]:
    """Every point of the site's geometry; ways far beyond are errors of distant foot points."""
    for zone in site.zones:
        yield from zone.m or ()
    for lane in site.queues:
        yield from (*lane.lane_m, *lane.service_m)
    for line in site.lines:
        yield from line.m or ()


def _draw_ways(axes: Axes, rows: ScoredRows, at_us: int) -> None:
    found = rows.tables["detections"]
    age_us = at_us - found["time_us"]
    recent = (age_us >= 0) & (age_us < _TRAIL_US) & np.isfinite(found["floor_x_m"]) & (found["tracklet"] != NOBODY)
    for tracklet in np.unique(found["tracklet"][recent]):
        mine = np.flatnonzero(recent & (found["tracklet"] == tracklet))
        mine = mine[np.argsort(found["time_us"][mine])]
        x, y = found["floor_x_m"][mine], found["floor_y_m"][mine]
        colour = colour_of(int(rows.identity[tracklet]))
        axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.8)
        if age_us[mine[-1]] < US_PER_S // 2:
            axes.plot(x[-1:], y[-1:], "o", color=colour, markersize=5)


def _outline(axes: Axes, corners_m: Any, label: str) -> None:
    corners = np.array([*corners_m, corners_m[0]])
    axes.fill(*corners.T, color=FAINT, alpha=0.18)
    axes.plot(*corners.T, color=FAINT, linewidth=0.8)
    middle = corners[:-1].mean(axis=0)
    axes.text(middle[0], middle[1], label, fontsize=6.5, color=INK, ha="center", va="center", alpha=0.7)


def colour_of(identity: int) -> str:
    """A colour that neighbours in number do not share; grey for nobody."""
    from matplotlib.colors import hsv_to_rgb, to_hex

    if identity == NOBODY:
        return "#8a939c"
    hue = (identity * 0.618034) % 1.0
    red, green, blue = hsv_to_rgb((hue, 0.75, 0.78 - 0.18 * (identity % 2)))
    return str(to_hex((float(red), float(green), float(blue))))
