"""`retail_ray.recount`: what other zones, lines, lanes or thresholds would have counted on stored days."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import yaml

from retail_ray.analyst.answer import Answer, table_of
from retail_ray.analyst.opened import StoreLake
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.core.errors import ConfigError
from retail_ray.core.uris import NO_VIDEO
from retail_ray.lake.recounts import CountedDay, drop, read_recounts, recounting
from retail_ray.runtime.recount import Recounted
from retail_ray.runtime.recount import recount as counted_anew

_COLUMNS: Final = dict.fromkeys(("kind", "name", "measure"), pa.string()) | dict.fromkeys(
    ("before", "after", "difference"), pa.float64()
)


def recount(
    lake: StoreLake,
    settings: Mapping[str, Any],
    first: date | None = None,
    last: date | None = None,
    *,
    keep: bool = False,
) -> Answer:
    """Numbers before and after, by line, zone and lane, of business days `first` to `last`; None: all there are.

    settings: `lake.settings()` with changes in it. keep: the new rows stay in the lake, beside those in force, until
    `retail-ray recount activate` or `drop`; otherwise they go again. Detections must still be stored. ConfigError for
    settings that are wrong, LakeError where nothing can be counted.
    """
    site = _site(lake, settings)
    before = read_recounts(lake.root, site.site).days
    result = counted_anew(site, first, last)
    added = {
        (day.run_id, f"{day.date}")
        for day in result.days
        if result.written and not _has(before.get((day.run_id, f"{day.date}")), site.config_version)
    }
    if added and not keep:
        with recounting(lake.root, site.site):
            drop(lake.root, site.site, site.config_version, added)
    kept = result.written and (keep or len(added) < len(result.days))
    covered = lake.coverage(None if first is None and last is None else (first or date.min, last or date.max))
    return _answer(lake, result, covered, kept=kept)


def _has(day: CountedDay | None, version: str) -> bool:
    return day is not None and version in day.versions


def _site(lake: StoreLake, settings: Mapping[str, Any]) -> Site:
    """Checked as a site file is, so that errors name the key; numbers of numpy count as numbers."""
    cameras = [{"uri": f"{NO_VIDEO}://stored", **camera} for camera in settings["cameras"]]
    content = {**settings, "cameras": cameras, "lake": str(lake.root.resolve())}
    plain = json.loads(json.dumps(content, default=_plain))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.yaml"
        path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
        return load_site(path, {})


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy as Python's own."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise ConfigError(f"settings hold {value!r}, a {type(value).__name__}; give plain numbers, texts, lists and dicts")


def _answer(lake: StoreLake, result: Recounted, covered: Answer, *, kept: bool) -> Answer:
    found = result.as_json()
    rows = [
        {"kind": change["kind"], "name": change["name"], "measure": change["measure"],
         "before": change["old"], "after": change["new"], "difference": change["difference"]}
        for change in found["changes"]
    ]  # fmt: skip
    days = sorted({day.date for day in result.days})
    fate = f"The rows are in the lake as version {result.version}." if kept else "Nothing of it was kept in the lake."
    return Answer(
        f"Counted anew, {days[0]} to {days[-1]}",
        table_of(rows, _COLUMNS),
        lake.store,
        covered.coverage,
        (*result.notes, fate),
    )
