"""Reading `site.yaml`: environment variables, relative paths, and errors with file, line and key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from retail_ray.config import Site
from retail_ray.config_messages import Location, dotted, message
from retail_ray.core.errors import ConfigError
from retail_ray.core.uris import scheme

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def load_site(path: Path, environment: Mapping[str, str] | None = None) -> Site:
    """The checked configuration, `${VAR}` filled in and paths made absolute; else ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; name the site's YAML file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse_site(text, path, os.environ if environment is None else environment)


def parse_site(text: str, path: Path, environment: Mapping[str, str]) -> Site:
    """As load_site, of a text that came from `path`."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{mark.line + 1}" if mark else "?"
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from error
    if root is None or not isinstance(content, dict):
        raise ConfigError(f"{path}:1: expected a mapping with the keys site, timezone, cameras, …")
    lines = _Lines(root)
    _refuse_double_keys(root, path)
    filled = _fill(content, (), environment, path, lines)
    try:
        site = Site.model_validate(filled)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, lines)) from error
    return _absolute(site, path.absolute().parent)


def place(path: Path, location: Location) -> str:
    """`<file>:<line>: <key>` of a readable, valid YAML file."""
    root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    line = 1 if root is None else _Lines(root).of(location)
    return f"{path}:{line}: {dotted(location)}"


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of `site.yaml`."""
    schema = Site.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _refuse_double_keys(node: yaml.Node, path: Path) -> None:
    """YAML keeps the last of two equal keys: a second `lines:` would silently drop the first."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(f"{path}:{key.start_mark.line + 1}: key '{key.value}' stands twice; put both in one")
            seen.add(key.value)
            _refuse_double_keys(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_double_keys(item, path)


class _Lines:
    """Finds the line of a key path in the composed YAML document."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root

    def of(self, location: Location) -> int:
        """Line (from 1) of the deepest part of `location` that exists in the file."""
        node, line = self._root, self._root.start_mark.line
        for part in location:
            found = self._child(node, part)
            if found is None:
                continue
            key, node = found
            line = key.start_mark.line
        return line + 1

    def has(self, location: Location) -> bool:
        """Whether the file holds every part of `location`."""
        node = self._root
        for part in location:
            found = self._child(node, part)
            if found is None:
                return False
            node = found[1]
        return True

    @staticmethod
    def _child(node: yaml.Node, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    return key, value
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part]
        return None


def _fill(value: Any, at: Location, environment: Mapping[str, str], path: Path, lines: _Lines) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, (*at, key), environment, path, lines) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, (*at, index), environment, path, lines) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name not in environment and default is None:
            raise ConfigError(
                f"{path}:{lines.of(at)}: {dotted(at)}: environment variable {name} is not set; "
                f"export it or write ${{{name}:-default}}"
            )
        return environment.get(name, default or "")

    return _VARIABLE.sub(replace, value)


def _explain(error: ValidationError, path: Path, lines: _Lines) -> str:
    told: dict[tuple[Location, str], None] = {}
    for detail in error.errors():
        at = detail["loc"]
        # Where several types are allowed, pydantic adds the one it tried as a last part that no file holds.
        if detail["type"] not in ("missing", "reference") and not lines.has(at):
            told[at[:-1], "write a number, true, false or a text"] = None
        else:
            told[at, message(detail)] = None
    return "\n".join(f"{path}:{lines.of(at)}: {dotted(at)}: {text}" for at, text in told)


def _absolute(site: Site, folder: Path) -> Site:
    def resolve(value: str) -> str:
        local = scheme(value) == "file" and "://" not in value
        return os.path.abspath(folder / Path(value).expanduser()) if local else value  # noqa: PTH100 - links stay links

    def resolve_weights(value: str) -> str:
        return resolve(value) if "/" in value or (folder / value).exists() else value

    models = site.models
    changed = {}
    for name in ("detector", "embedder", "segmenter"):
        settings = getattr(models, name)
        if settings is not None:
            changed[name] = settings.model_copy(update={"weights": resolve_weights(settings.weights)})
    cameras = [camera.model_copy(update={"uri": resolve(camera.uri)}) for camera in site.cameras]
    staff = site.identity.staff.model_copy(update={"uniforms": [resolve(u) for u in site.identity.staff.uniforms]})
    return site.model_copy(
        update={
            "lake": resolve(site.lake),
            "cameras": cameras,
            "identity": site.identity.model_copy(update={"staff": staff}),
            "models": models.model_copy(update=changed),
        }
    )
