"""Training data of painted people: an ellipse of two colours each, with exact boxes and masks."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco

from retail_ray.vision.training.data import PATCH_MARGIN

HEIGHT, WIDTH = 180, 320


def paint(folder: Path, pictures: int, seed: int = 0) -> Path:
    """Pictures with up to three of eight people, one picture in five empty, and patches of everybody."""
    random = np.random.default_rng(seed)
    colours = np.random.default_rng(7).integers(0, 256, (8, 2, 3))
    (folder / "images").mkdir(parents=True)
    (folder / "people").mkdir()
    picture_rows, patch_rows = [], []
    for number in range(pictures):
        image = random.integers(100, 140, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        people = []
        for slot in range(0 if number % 5 == 0 else 3):
            identity = int(random.integers(8))
            tall = int(random.integers(50, 110))
            wide = tall // 3
            left, top = slot * 100 + int(random.integers(100 - wide)), int(random.integers(HEIGHT - tall))
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.ellipse(mask, (left + wide // 2, top + tall // 2), (wide // 2, tall // 2), 0, 0, 360, 1, -1)
            image[mask > 0] = colours[identity, 0]
            image[top + tall // 2 :][mask[top + tall // 2 :] > 0] = colours[identity, 1]
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
            counts = coco.encode(np.asfortranarray(mask))["counts"].decode()
            people.append({"identity": identity, "xyxy": box, "visible_share": 1.0, "counts": counts})
        path = f"images/{number}.png"
        cv2.imwrite(str(folder / path), image[..., ::-1])
        picture_rows.append({"picture": path, "scene": 0, "camera": "a", "people": people})
        for person in people:
            path = f"people/{len(patch_rows)}.png"
            cv2.imwrite(str(folder / path), _grown(image, person["xyxy"])[..., ::-1])
            patch_rows.append({"patch": path, "identity": person["identity"], "camera": number % 3})
    for name, rows in {"pictures": picture_rows, "patches": patch_rows}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _grown(image: np.ndarray, box: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    left, top, right, bottom = box
    across, down = round((right - left) * PATCH_MARGIN), round((bottom - top) * PATCH_MARGIN)
    around = cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_REPLICATE)
    return np.asarray(around[top : bottom + 2 * down, left : right + 2 * across])
