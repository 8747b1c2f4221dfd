"""Floor plans from and to YAML (or JSON, which is YAML): the keys are the fields of `store.StorePlan`."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.layout_generator import random_layout
from retail_ray.simulation.layouts import ready_layouts
from retail_ray.simulation.plan_checks import check_plan
from retail_ray.simulation.store import StorePlan

RANDOM = "random:"


def plan_by_name(name: str | Path) -> StorePlan:
    """A ready layout's name, `random:<seed>`, or the path of a layout file; else ConfigError."""
    text = str(name)
    ready = ready_layouts()
    if text in ready:
        return ready[text]
    if text.startswith(RANDOM):
        return _random(text)
    if Path(text).suffix in (".yaml", ".yml", ".json"):
        return load_plan(Path(text))
    raise ConfigError(
        f"layout '{text}': no such layout; use {', '.join(ready)}, random:<seed>, or a .yaml or .json file"
    )


def load_plan(path: Path) -> StorePlan:
    """The checked plan; ConfigError or GeometryError with file and key where it cannot be used."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a layout file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML or JSON: {error}") from error
    plan: StorePlan = _build(StorePlan, content, f"{path}: ")
    try:
        return check_plan(plan)
    except ValueError as error:
        raise type(error)(f"{path}: {error}") from error


def dump_plan(plan: StorePlan) -> str:
    """YAML that load_plan reads back as an equal plan."""
    return yaml.safe_dump(_plain(asdict(plan)), sort_keys=False, default_flow_style=None, width=120)


def _random(text: str) -> StorePlan:
    seed = text.removeprefix(RANDOM)
    if not seed.isdecimal():
        raise ConfigError(f"layout '{text}': after 'random:' comes a seed, a whole number from 0 on")
    return random_layout(int(seed))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _build(wanted: Any, value: Any, place: str) -> Any:
    """`value` as the annotated type `wanted`; `place` names file and key in errors."""
    origin = typing.get_origin(wanted)
    if is_dataclass(wanted):
        return _build_record(wanted, value, place)
    if origin is tuple:
        return _build_tuple(typing.get_args(wanted), value, place)
    if origin is Literal:
        return _checked(value, value in typing.get_args(wanted), f"one of {', '.join(typing.get_args(wanted))}", place)
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(_checked(value, number, "a number", place))
    return _checked(value, isinstance(value, str), "a text", place)


def _build_record(wanted: Any, value: Any, place: str) -> Any:
    _checked(value, isinstance(value, dict), "a mapping", place)
    hints = typing.get_type_hints(wanted)
    unknown = [str(key) for key in value if key not in hints]
    if unknown:
        raise ConfigError(f"{place}unknown key '{unknown[0]}'; keys here are {', '.join(hints)}")
    needed = [f.name for f in fields(wanted) if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in needed if name not in value]
    if missing:
        raise ConfigError(f"{place}key '{missing[0]}' is missing")
    return wanted(**{key: _build(hints[key], one, f"{place}{key}: ") for key, one in value.items()})


def _build_tuple(parts: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    _checked(value, isinstance(value, list), "a list", place)
    if len(parts) == 2 and isinstance(parts[1], types.EllipsisType):
        return tuple(_build(parts[0], one, f"{place}{i}: ") for i, one in enumerate(value, start=1))
    _checked(value, len(value) == len(parts), f"a list of {len(parts)}", place)
    return tuple(_build(part, one, f"{place}{i}: ") for i, (part, one) in enumerate(zip(parts, value, strict=True), 1))


def _checked(value: Any, fits: bool, what: str, place: str) -> Any:
    if not fits:
        raise ConfigError(f"{place}should be {what}, found {value!r}")
    return value
