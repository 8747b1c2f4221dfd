"""What `retail-ray figures` finds out; no printing here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from retail_ray.calibrate import camera_of
from retail_ray.config import Site
from retail_ray.core.boxes import Boxes
from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.lake.figure_rows import read_frames, was_analysed
from retail_ray.lake.views import open_lake
from retail_ray.tracking.still_figures import SEEN_SHARE, StillFigures

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
    not analysed in the interval are left out; LakeError where none was, or where there is no lake. ConfigError where
    the site learns no figures and the interval was not empty.
    """
    if not empty and not site.tracker.still_figure_s:
        raise ConfigError("tracker.still_figure_s is 0: no box is a figure; set it, or give --empty with a quiet time")
    cameras = [camera_of(site, camera_id)] if camera_id else site.cameras
    how = (EMPTY_AFTER_S, EMPTY_SHARE) if empty else (site.tracker.still_figure_s, SEEN_SHARE)
    found: dict[str, Boxes] = {}
    with open_lake(Path(site.lake) if lake is None else lake) as opened:
        for camera in cameras:
            asked = opened, site.site, camera.id, from_us, until_us
            if was_analysed(*asked):
                figures = StillFigures(np.zeros((0, 4), np.float32), *how)
                for time_us, xyxy_px in read_frames(*asked):
                    figures.among(xyxy_px, time_us)
                found[camera.id] = figures.boxes
        if not found:
            names = ", ".join(f"'{camera.id}'" for camera in cameras)
            raise LakeError(
                f"{opened.root}: site '{site.site}' has no analysed frame in the interval of camera {names}; "
                "`retail-ray sql` on coverage tells when it was analysed"
            )
    return found


def section(figures: Mapping[str, Boxes]) -> str:
    """YAML to paste: `still_figures` of each camera that has any, whole pixels."""
    cameras = [
        {"id": camera_id, "still_figures": np.round(boxes).astype(int).tolist()}
        for camera_id, boxes in sorted(figures.items())
        if len(boxes)
    ]
    return str(yaml.safe_dump({"cameras": cameras}, sort_keys=False, default_flow_style=None, width=120))
