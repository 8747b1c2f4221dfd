"""A recipe file: layout, seed, scenario and video settings of one simulation, so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.video_settings import VideoSettings

_KEYS = ("layout", "seed", "site_id", "segmentation", "scenario", "video")


@dataclass(frozen=True, slots=True)
class Recipe:
    """`layout` is a ready name, `random:SEED` or the path of a plan file; `segmentation` names cameras."""

    layout: str = "convenience"
    seed: int = 1
    site_id: str | None = None
    segmentation: tuple[str, ...] = ()
    scenario: ScenarioSettings = field(default_factory=ScenarioSettings)
    video: VideoSettings = field(default_factory=VideoSettings)

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigError(f"seed is {self.seed!r}; it must be a whole number from 0 on")
        if not isinstance(self.layout, str):
            raise ConfigError(f"layout is {self.layout!r}; it must be a name, random:SEED or a path")

    def changed(self, *, scenario: Mapping[str, Any], video: Mapping[str, Any], **own: Any) -> Recipe:
        """The same with these settings instead; None keeps what was."""
        return replace(
            self,
            scenario=replace(self.scenario, **_given(scenario)),
            video=replace(self.video, **_given(video)),
            **_given(own),
        )


def load_recipe(path: Path) -> Recipe:
    """Raises ConfigError that names the file, and the key and value where one is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    try:
        own = _section(content, _KEYS, "the recipe")
        scenario = _section(own.pop("scenario", {}), [f.name for f in fields(ScenarioSettings)], "scenario")
        video = _section(own.pop("video", {}), [f.name for f in fields(VideoSettings)], "video")
        own["segmentation"] = tuple(own.get("segmentation", ()))
        if "hour_shape" in scenario:
            scenario["hour_shape"] = tuple(scenario["hour_shape"])
        if isinstance(video.get("start"), str):
            video["start"] = datetime.fromisoformat(video["start"])
        return Recipe(scenario=ScenarioSettings(**scenario), video=VideoSettings(**video), **own)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _section(content: Any, known: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ConfigError(f"{what} must be keys with values, found {content!r:.80}")
    unknown = sorted(map(str, set(content) - set(known)))
    if unknown:
        raise ConfigError(f"{what} has no key '{unknown[0]}'; its keys are {', '.join(known)}")
    return dict(content)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
