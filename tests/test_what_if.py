"""What-if recounts in Python: the numbers of `retail-ray recount`, and a lake that is left as it was."""

from __future__ import annotations

import copy
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import retail_ray
from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.lake.recounts import read_recounts


def files(lake: Path) -> dict[str, int]:
    """Parquet files of the lake and their sizes."""
    return {f"{path.relative_to(lake)}": path.stat().st_size for path in sorted(lake.rglob("*.parquet"))}


def numbers(answer: Any, kind: str, name: str) -> dict[str, tuple[float, float]]:
    """By measure, before and after."""
    rows = answer.pandas().query("kind == @kind and name == @name")
    return {row.measure: (row.before, row.after) for row in rows.itertuples()}


def changed(settings: dict[str, Any], zone: str, **values: Any) -> dict[str, Any]:
    made = copy.deepcopy(settings)
    next(entry for entry in made["zones"] if entry["id"] == zone).update(values)
    return made


def test_a_stricter_zone_counts_fewer_stays_and_nothing_stays_behind(simulated_shop: Path) -> None:
    lake = retail_ray.open(simulated_shop / "lake")
    before = files(lake.root)
    settings = lake.settings()
    same = retail_ray.recount(lake, settings)
    strict = retail_ray.recount(lake, changed(settings, "fresh", min_dwell_s=30.0))
    stays = numbers(strict, "zone", "fresh")["stays"]
    assert 0 < stays[1] < stays[0]
    # Other zones are counted as with the settings as they are.
    assert numbers(strict, "zone", "offers") == numbers(same, "zone", "offers")
    assert "Nothing of it was kept in the lake." in strict.notes
    assert files(lake.root) == before
    assert strict.coverage == lake.coverage().coverage


def test_what_is_kept_stays_until_it_is_dropped_and_is_not_in_force(simulated_shop: Path, tmp_path: Path) -> None:
    shutil.copytree(simulated_shop / "lake", tmp_path / "lake")
    lake = retail_ray.open(tmp_path / "lake")
    stays = lake.dwell("fresh").pandas().visits.tolist()
    settings = changed(lake.settings(), "fresh", min_dwell_s=30.0)
    kept = retail_ray.recount(lake, settings, keep=True)
    (day,) = read_recounts(lake.root, lake.store.site_id).days.values()
    assert len(day.versions) == 2
    assert day.in_force == day.own_version
    assert lake.dwell("fresh").pandas().visits.tolist() == stays
    # Asking again without `keep` gives the same, and leaves alone what was kept before.
    again = retail_ray.recount(lake, settings)
    assert again.table == kept.table
    (day,) = read_recounts(lake.root, lake.store.site_id).days.values()
    assert len(day.versions) == 2


def test_wrong_settings_and_days_without_data_say_what_is_wrong(simulated_shop: Path) -> None:
    lake = retail_ray.open(simulated_shop / "lake")
    settings = lake.settings()
    with pytest.raises(ConfigError, match=r"min_dwell_s"):
        retail_ray.recount(lake, changed(settings, "fresh", min_dwell_s=-1))
    with pytest.raises(ConfigError, match=r"timezone"):
        retail_ray.recount(lake, settings | {"timezone": "Asia/Tokyo"})
    with pytest.raises(LakeError, match=r"nothing can be counted"):
        retail_ray.recount(lake, settings, first=date(2030, 1, 1))
