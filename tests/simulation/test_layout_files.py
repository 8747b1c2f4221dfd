from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from retail_ray.core.errors import ConfigError, GeometryError
from retail_ray.simulation.layout_files import dump_plan, load_plan, plan_by_name
from retail_ray.simulation.layout_generator import random_layout
from retail_ray.simulation.layouts import convenience, ready_layouts

PLANS = {**ready_layouts(), "random": random_layout(3)}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_comes_back_from_its_file_as_it_was(plan: object, tmp_path: Path) -> None:
    path = tmp_path / "store.yaml"
    path.write_text(dump_plan(plan), encoding="utf-8")  # type: ignore[arg-type]
    assert load_plan(path) == plan


def test_a_plan_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text(json.dumps(yaml.safe_load(dump_plan(convenience()))), encoding="utf-8")
    assert plan_by_name(path) == convenience()


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = dump_plan(convenience())
    assert old in text
    path = tmp_path / "store.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


MISTAKES = {
    "an unknown key": ("shop_m:", "room_m:", "unknown key 'room_m'"),
    "an unknown key inside": ("height_m: 3.2", "hight_m: 3.2", "walls: 1: unknown key 'hight_m'"),
    "a key too few": ("name: convenience\n", "", "key 'name' is missing"),
    "a word for a number": ("horizontal_fov_deg: 84.0", "horizontal_fov_deg: wide", "cameras: 1: horizontal_fov_deg"),
    "yes for a number": ("horizontal_fov_deg: 84.0", "horizontal_fov_deg: yes", "should be a number, found True"),
    "an unknown kind": ("kind: freezer", "kind: fridge", "should be one of shelf, counter"),
    "three corners of a rectangle": ("shop_m: [0.0, 0.0, 9.0, 8.0]", "shop_m: [0.0, 0.0, 9.0]", "a list of 4"),
    "not YAML": ("name: convenience", "name: [convenience", "not valid YAML"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_file_and_key(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_an_impossible_store_in_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    path = edited(tmp_path, "shop_m: [0.0, 0.0, 9.0, 8.0]", "shop_m: [0.0, 0.0, 90.0, 8.0]")
    with pytest.raises(GeometryError, match=r"store\.yaml: layout 'convenience': shop_m"):
        load_plan(path)


@pytest.mark.parametrize("content", ["", "[]", "7"])
def test_a_file_of_something_else_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "store.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="should be a mapping"):
        load_plan(path)


def test_a_plan_by_name() -> None:
    assert plan_by_name("convenience") == convenience()
    assert plan_by_name("random:5") == random_layout(5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conveniense", "use convenience, corner-shop"),
        ("random:five", "a whole number"),
        ("random:-1", "a whole number"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read"),
    ],
)
def test_a_wrong_name_says_what_there_is(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_by_name(name)
