"""Renders labelled pictures and patches of people from random stores, to train and to choose models on.

The folder it writes is described in `retail_ray.vision.training.data`, which reads it: `pictures.jsonl`,
`patches.jsonl`, and `data.json` with the recipe and what came of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ConfigError
from retail_ray.simulation.camera_clip import run_lengths
from retail_ray.simulation.degrade import Degrader, draw_faults
from retail_ray.simulation.render.people import PosedPerson
from retail_ray.simulation.render.renderer import Prefer, Renderer, WholeBody, make_renderer
from retail_ray.simulation.seeds import SeedRange
from retail_ray.simulation.store import StoreCamera
from retail_ray.simulation.training_stores import shown, training_moment, training_people, training_store

Image = NDArray[np.uint8]
FORMAT = 1
PEOPLE_PER_SCENE = 100_000
CAMERAS_PER_SCENE = 100
PATCH_MARGIN = 0.1
PATCH_HW = (307, 154)
LEAST_PIXELS = 12


@dataclass(frozen=True, slots=True)
class DataSettings:
    """How much to render and how.

    scenes: stores of one seed each, all with cameras and `people_per_scene` people of their own. moments: of each
    store, with between one and `people_at_once` people, seen by all its cameras. empty_pictures: without people, for
    each camera. severity: range of the cameras' faults. jpeg_quality: range of the compression. patches_per_camera:
    of a person.
    """

    scenes: int = 40
    moments: int = 16
    empty_pictures: int = 1
    people_per_scene: int = 24
    people_at_once: int = 20
    width_px: int = 640
    height_px: int = 360
    stored_width_px: int = 640
    severity: tuple[float, float] = (0.0, 1.4)
    jpeg_quality: tuple[int, int] = (45, 92)
    patches_per_camera: int = 4
    patch_min_visible_share: float = 0.5
    patch_min_height_px: float = 56.0
    renderer: Prefer = "software"

    def __post_init__(self) -> None:
        least = {
            "scenes": 1,
            "moments": 1,
            "people_per_scene": 1,
            "people_at_once": 1,
            "width_px": 64,
            "height_px": 64,
            "stored_width_px": 64,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"training data: {name} is {getattr(self, name)}; it must be at least {low}")


@dataclass(frozen=True, slots=True)
class SceneDone:
    """Told after every scene."""

    scene: int
    scenes: int
    pictures: int
    patches: int


def render_training_data(
    out: Path, settings: DataSettings, seeds: SeedRange, on_scene: Callable[[SceneDone], None] = lambda _done: None
) -> dict[str, Any]:
    """Write the folder and return what `data.json` holds; scenes that are there already are not rendered again.

    Raises ConfigError where the folder holds data of other settings.
    """
    recipe = json.loads(json.dumps({"format": FORMAT, "settings": asdict(settings), "seeds": asdict(seeds)}))
    for name in ("images", "people", "scenes"):
        (out / name).mkdir(parents=True, exist_ok=True)
    _require_same(out / "recipe.json", recipe)
    for number in range(settings.scenes):
        part = out / "scenes" / f"{number:05}.json"
        if not part.exists():
            rows = _Scene(out, settings, number, seeds.seed(number)).render()
            _write(part, json.dumps(rows))
        rows = json.loads(part.read_text(encoding="utf-8"))
        on_scene(SceneDone(number + 1, settings.scenes, len(rows["pictures"]), len(rows["patches"])))
    return _finish(out, recipe)


class _Scene:
    """One store on one seed."""

    def __init__(self, out: Path, settings: DataSettings, number: int, seed: int) -> None:
        self._out, self._settings, self._number = out, settings, number
        self._random = np.random.default_rng([seed, 3])
        self._plan = training_store(seed)
        self._people = training_people(seed, settings.people_per_scene)
        self._kept: Counter[tuple[int, int]] = Counter()

    def render(self) -> dict[str, list[dict[str, Any]]]:
        settings = self._settings
        renderer = make_renderer(
            self._plan, settings.width_px, settings.height_px, self._people, prefer=settings.renderer
        )
        moments = [self._moment() for _ in range(settings.moments)]
        rows: dict[str, list[dict[str, Any]]] = {"pictures": [], "patches": []}
        for number, camera in enumerate(self._plan.cameras):
            station = _Station(number, camera, renderer, self._degrader(number))
            for shot, people in enumerate([*moments, *[[] for _ in range(settings.empty_pictures)]]):
                image, seen = self._shoot(station, people, shot)
                name = f"{self._number:05}-{number}-{shot:03}"
                rows["pictures"].append(self._picture(image, seen, name, camera.id))
                rows["patches"].extend(self._patches(image, seen, name, number))
        return rows

    def _moment(self) -> list[PosedPerson]:
        count = int(self._random.integers(1, self._settings.people_at_once + 1))
        return training_moment(self._plan, self._people, count, self._random)

    def _degrader(self, camera_number: int) -> Degrader:
        settings = self._settings
        faults = draw_faults(self._random, float(self._random.uniform(*settings.severity)))
        seed = self._number * CAMERAS_PER_SCENE + camera_number
        return Degrader(faults, (settings.height_px, settings.width_px), seed)

    def _shoot(self, station: _Station, people: list[PosedPerson], shot: int) -> tuple[Image, list[_Seen]]:
        picture = station.renderer.draw(station.camera, people)
        image = self._compressed(station.degrader.apply(picture.image, float(shot)))
        bodies = station.renderer.whole_bodies(station.camera, shown(picture.ids, people))
        return image, list(_visible(picture.ids, bodies))

    def _compressed(self, image: Image) -> Image:
        quality = int(self._random.integers(*self._settings.jpeg_quality))
        _, coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded: Any = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        return np.asarray(decoded[..., ::-1], np.uint8)

    def _picture(self, image: Image, seen: list[_Seen], name: str, camera_id: str) -> dict[str, Any]:
        width = self._settings.stored_width_px
        scale = width / image.shape[1]
        height = round(image.shape[0] * scale)
        path = f"images/{name}.jpg"
        _save(self._out / path, cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        people = []
        for person in seen:
            mask = cv2.resize(person.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
            people.append(
                {
                    "identity": self._identity(person),
                    "xyxy": [round(float(edge) * scale, 2) for edge in person.xyxy_px],
                    "visible_share": round(person.visible_share, 3),
                    "counts": run_lengths(mask).decode("ascii"),
                }
            )
        return {"picture": path, "scene": self._number, "camera": camera_id, "people": people}

    def _patches(self, image: Image, seen: list[_Seen], name: str, camera_number: int) -> Iterator[dict[str, Any]]:
        settings = self._settings
        for person in seen:
            key = (camera_number, person.person_id)
            tall = person.xyxy_px[3] - person.xyxy_px[1] >= settings.patch_min_height_px
            clear = person.visible_share >= settings.patch_min_visible_share
            if tall and clear and self._kept[key] < settings.patches_per_camera:
                self._kept[key] += 1
                path = f"people/{name}-{person.person_id}.jpg"
                _save(self._out / path, grown_patch(image, person.xyxy_px))
                camera = self._number * CAMERAS_PER_SCENE + camera_number
                yield {"patch": path, "identity": self._identity(person), "camera": camera}

    def _identity(self, person: _Seen) -> int:
        return self._number * PEOPLE_PER_SCENE + person.person_id


@dataclass(frozen=True, slots=True)
class _Station:
    """One camera at work."""

    number: int
    camera: StoreCamera
    renderer: Renderer
    degrader: Degrader


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is to be seen of one person. mask: (H, W) bool."""

    person_id: int
    xyxy_px: NDArray[np.float32]
    visible_share: float
    mask: NDArray[np.bool_]


def _visible(ids: NDArray[np.uint16], bodies: list[WholeBody | None]) -> Iterator[_Seen]:
    for body in bodies:
        if body is None:
            continue
        mask = ids == body.person_id
        if np.count_nonzero(mask) >= LEAST_PIXELS:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
            share = min(1.0, int(np.count_nonzero(mask)) / max(1, body.pixels))
            yield _Seen(body.person_id, box, share, mask)


def grown_patch(image: Image, xyxy_px: NDArray[np.float32]) -> Image:
    """(307, 154, 3): the box and a tenth of its sides around it; the frame's border goes on where it is passed."""
    left, top, right, bottom = (int(edge) for edge in xyxy_px)
    across, down = round((right - left) * PATCH_MARGIN), round((bottom - top) * PATCH_MARGIN)
    around = cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_REPLICATE)
    cut = around[top : bottom + 2 * down, left : right + 2 * across]
    return np.asarray(cv2.resize(cut, (PATCH_HW[1], PATCH_HW[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def _finish(out: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """Join the scenes into the two lists, and count."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "scenes").glob("*.json"))]
    rows = {name: [row for part in parts for row in part[name]] for name in ("pictures", "patches")}
    for name, lines in rows.items():
        _write(out / f"{name}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    counts = {
        "pictures": len(rows["pictures"]),
        "boxes": sum(len(row["people"]) for row in rows["pictures"]),
        "patches": len(rows["patches"]),
        "people": len({row["identity"] for row in rows["patches"]}),
    }
    _write(out / "data.json", json.dumps(recipe | {"counts": counts}, indent=1))
    return {**recipe, "counts": counts}


def _require_same(path: Path, recipe: dict[str, Any]) -> None:
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != recipe:
        raise ConfigError(f"{path.parent} holds training data of other settings; give another folder or delete it")
    _write(path, json.dumps(recipe, indent=1))


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _save(path: Path, image: NDArray[Any]) -> None:
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 93])
