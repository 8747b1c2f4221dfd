"""Recipes: what is written is what is made, and a broken file names itself, the key and the value."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.recipe import Recipe, load_recipe

WHOLE = """
layout: corner-shop
seed: 12
scenario: {duration_s: 20, arrivals_per_hour: 300}
video: {fps: 5, start: 2026-03-02T11:00:00+01:00, width_px: 640, height_px: 360}
"""


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def test_every_key_arrives(tmp_path: Path) -> None:
    recipe = load(tmp_path, WHOLE)
    assert (recipe.layout, recipe.seed) == ("corner-shop", 12)
    assert (recipe.scenario.duration_s, recipe.scenario.arrivals_per_hour) == (20, 300)
    assert (recipe.video.fps, recipe.video.width_px, recipe.video.height_px) == (5, 640, 360)
    assert recipe.video.start == datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def test_options_override_and_none_keeps(tmp_path: Path) -> None:
    recipe = load(tmp_path, WHOLE).changed(
        seed=3, layout=None, scenario={"duration_s": None}, video={"fps": 2, "severity": None}
    )
    assert (recipe.seed, recipe.layout, recipe.scenario.duration_s, recipe.video.fps) == (3, "corner-shop", 20, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the recipe must be keys with values"),
        ("[1, 2]", "the recipe must be keys with values"),
        ("seed: [", "not valid YAML"),
        ("seed: minus one", "seed is 'minus one'"),
        ("seed: -1", "seed is -1"),
        ("seed: true", "seed is True"),
        ("layout: 7", "layout is 7"),
        ("sead: 1", "no key 'sead'"),
        ("scenario: {shoppers: 3}", "scenario has no key 'shoppers'"),
        ("scenario: 3", "scenario must be keys with values"),
        ("scenario: {duration_s: -3}", "duration_s is -3"),
        ("scenario: {duration_s: soon}", "duration_s"),
        ("video: {fps: fast}", "fps is 'fast'"),
        ("video: {width_px: 641}", "width_px is 641"),
        ("video: {start: yesterday}", "yesterday"),
        ("video: {start: 2026-03-02 11:00:00}", "needs|with UTC offset"),
        ("video: {renderer: pencil}", "renderer is 'pencil'"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load(tmp_path, text)
    assert "recipe.yaml" in str(caught.value)


def test_a_missing_or_binary_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match=r"binary\.yaml"):
        load_recipe(tmp_path / "binary.yaml")
