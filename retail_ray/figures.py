"""What `retail-ray figures` finds out; no printing here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from retail_ray.calibrate import camera_of
from retail_ray.config import Site
from retail_ray.core.boxes import Boxes
from retail_ray.core.errors import LakeError
from retail_ray.lake.figure_rows import read_frames
from retail_ray.tracking.still_figures import StillFigures

EMPTY_AFTER_S, EMPTY_SHARE = 1.0, 0.2


def still_figures(
    site: Site,
    lake: Path | None = None,
    camera_id: str | None = None,
    *,
    from_us: int | None = None,
    until_us: int | None = None,
    empty: bool = False,
) -> dict[str, Boxes]:
    """(F, 4) float32 boxes of each camera that stayed the same for the site's `still_figure_s`.

    empty: nobody was there, so a box is a figure that stays for a second, in a fifth of the frames. Cameras that were
    not analysed in the interval are left out; LakeError as `read_frames` where none was.
    """
    cameras = [camera_of(site, camera_id)] if camera_id else site.cameras
    root = Path(site.lake) if lake is None else lake
    found: dict[str, Boxes] = {}
    nothing: LakeError | None = None
    for camera in cameras:
        figures = StillFigures(np.zeros((0, 4), np.float32), EMPTY_AFTER_S, EMPTY_SHARE)
        if not empty:
            figures = StillFigures(np.zeros((0, 4), np.float32), site.tracker.still_figure_s)
        try:
            for time_us, xyxy_px in read_frames(root, site.site, camera.id, from_us, until_us):
                figures.among(xyxy_px, time_us)
        except LakeError as error:
            nothing = error
            continue
        found[camera.id] = figures.boxes
    if nothing is not None and not found:
        raise nothing
    return found


def section(figures: Mapping[str, Boxes]) -> str:
    """YAML to paste: `still_figures` of each camera that has any, whole pixels."""
    cameras = [
        {"id": camera_id, "still_figures": np.round(boxes).astype(int).tolist()}
        for camera_id, boxes in sorted(figures.items())
        if len(boxes)
    ]
    return str(yaml.safe_dump({"cameras": cameras}, sort_keys=False, default_flow_style=None, width=120))
