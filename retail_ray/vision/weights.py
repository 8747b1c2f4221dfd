"""Known model weights: what they are, where they are, and how they come here."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml

from retail_ray.core.errors import WeightsError
from retail_ray.vision.download import Asset, download
from retail_ray.vision.networks import file_sha256

MODELS_VARIABLE = "RETAIL_RAY_MODELS"
CACHE_VARIABLE = "RETAIL_RAY_CACHE"
SHIPPED_DIR = Path(str(files("retail_ray").joinpath("weights")))
Task = Literal["detector", "embedder", "segmenter"]


@dataclass(frozen=True, slots=True)
class KnownWeights:
    """One entry of `weights.yaml`; `sha256` and `size_bytes` are checked after every download.

    url: None for files that come with the package. instead: for weights that know simulated people only, the name of
    those that know real ones.
    """

    name: str
    task: Task
    purpose: str
    size_bytes: int
    sha256: str
    licence: str
    url: str | None = None
    simulated_only: bool = False
    instead: str | None = None

    @property
    def shipped_path(self) -> Path | None:
        """Where the file lies in this package, if it comes with it."""
        return None if self.url is not None else SHIPPED_DIR / self.name


@dataclass(frozen=True, slots=True)
class ModelsRow:
    """A line of `retail-ray models list`: a known file and where it lies on this machine, if it does."""

    weights: KnownWeights
    path: Path | None

    def as_json(self) -> dict[str, str | int | bool | None]:
        """All that is known of it; url None: it comes with the package; path None: it is not on this machine."""
        return asdict(self.weights) | {"path": None if self.path is None else str(self.path)}


@cache
def known_weights() -> dict[str, KnownWeights]:
    """All known weights by file name."""
    text = files("retail_ray.vision").joinpath("weights.yaml").read_text(encoding="utf-8")
    return {entry["name"]: KnownWeights(**entry) for entry in yaml.safe_load(text)}


def default_models_dir() -> Path | None:
    """The folder named by $RETAIL_RAY_MODELS, if it is set."""
    value = os.environ.get(MODELS_VARIABLE)
    return Path(value).expanduser() if value else None


def default_cache_dir() -> Path:
    """$RETAIL_RAY_CACHE, else `retail-ray` in the user's cache folder: downloads and exported models."""
    value = os.environ.get(CACHE_VARIABLE)
    if value:
        return Path(value).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "retail-ray"


def downloads_dir(cache_dir: Path) -> Path:
    """Where `fetch` puts its files."""
    return cache_dir / "weights"


def locate(name_or_path: str | Path, models_dir: Path | None, cache_dir: Path) -> Path:
    """The file or folder: as a path, then in `models_dir`, then among the downloads.

    Raises WeightsError that says where to get it and where to put it, or that its size is wrong.
    """
    direct = Path(name_or_path).expanduser()
    if direct.exists():
        return direct
    name = str(name_or_path)
    folders = [folder for folder in (models_dir, downloads_dir(cache_dir)) if folder is not None]
    for folder in folders:
        path = folder / name
        if path.exists():
            _check_size(path)
            return path
    known = known_weights().get(name)
    if known is not None and known.shipped_path is not None:
        return _shipped(known, known.shipped_path)
    looked = ", ".join(map(str, folders)) + ("" if models_dir else f" (${MODELS_VARIABLE} is not set)")
    if known is None:
        raise WeightsError(
            f"weights '{name}': neither a path, nor in {looked}, nor a known name; "
            f"known are {', '.join(known_weights())}"
        )
    raise WeightsError(
        f"weights '{name}' are not on this machine (looked in {looked}); run `retail-ray models fetch {name}`, "
        f"or get {known.url} and put it into {models_dir or downloads_dir(cache_dir)}"
    )


def fetch(name: str, models_dir: Path | None, cache_dir: Path, *, show_progress: bool = True) -> Path:
    """`locate`, or else download, verify and return the path. Raises WeightsError; never leaves half a file.

    Weights that come with the package are verified where they lie.
    """
    known = known_weights().get(name)
    if known is None:
        raise WeightsError(f"weights '{name}': not a known name; known are {', '.join(known_weights())}")
    if known.url is None or (models_dir is not None and (models_dir / name).is_file()):
        return locate(name, models_dir, cache_dir)
    asset = Asset(known.name, known.url, known.size_bytes, known.sha256)
    return download(asset, downloads_dir(cache_dir), show_progress=show_progress)


def models_table(models_dir: Path | None, cache_dir: Path) -> list[ModelsRow]:
    """All known weights in the order of `weights.yaml`."""
    rows = []
    for name, known in known_weights().items():
        candidates = [folder / name for folder in (models_dir, downloads_dir(cache_dir)) if folder is not None]
        candidates += [path for path in (known.shipped_path,) if path is not None]
        rows.append(ModelsRow(known, next((path for path in candidates if path.is_file()), None)))
    return rows


def simulated_only(path: Path) -> KnownWeights | None:
    """The entry of these weights if they know simulated people only, told by the file's content, not its name."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    candidates = [known for known in known_weights().values() if known.simulated_only and known.size_bytes == size]
    return next((known for known in candidates if file_sha256(path) == known.sha256), None)


def _shipped(known: KnownWeights, path: Path) -> Path:
    if not path.is_file() or file_sha256(path) != known.sha256:
        raise WeightsError(f"{path}: missing or changed, though it comes with retail_ray; install retail_ray again")
    return path


def _check_size(path: Path) -> None:
    known = known_weights().get(path.name)
    if known is not None and path.is_file() and path.stat().st_size != known.size_bytes:
        raise WeightsError(
            f"{path}: has {path.stat().st_size} bytes instead of {known.size_bytes}; "
            f"delete it and run `retail-ray models fetch {path.name}`"
        )
