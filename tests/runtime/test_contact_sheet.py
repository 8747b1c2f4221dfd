"""The contact sheet shows simulated people only."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail_ray.config_file import load_site
from retail_ray.core.errors import ConfigError
from retail_ray.runtime.contact_sheet import colour_of, contact_sheet
from tests.runtime.sites import lab, write_site


def test_no_picture_of_a_real_site(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path, tmp_path, [lab(tmp_path, 1)]))
    with pytest.raises(ConfigError, match="not simulated"):
        contact_sheet(site, tmp_path / "lake", "r1", tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_neighbouring_identities_differ_in_colour() -> None:
    colours = [colour_of(identity) for identity in range(40)]
    assert len(set(colours)) == 40
    assert colour_of(-1) not in colours
