"""Exports of one interval of one site: CSV of any table or view, MOTChallenge text and COCO JSON of the detections.

mot:   <out>/<run>/<camera>.txt   frame,id,left,top,width,height,confidence,-1,-1,-1; frames from 1
                                  and id -1 without tracklet
coco:  <out>/detections.coco.json   an image per frame with people, named <camera>/<run>/<frame>; RLE masks if stored
csv:   <out>/<table>.csv   all columns of the lake; lists and structures as JSON

Frames without a person do not stand in the lake's detections, so they are in none of these.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from retail_ray.core.errors import LakeError, QueryError
from retail_ray.lake.files import lake_errors
from retail_ray.lake.interchange import SLICE_US, Interval, interval_params, iso_time, within
from retail_ray.lake.schemas import DAY_COLUMN
from retail_ray.lake.views import Lake

_ALSO: Final = {"journey_versions": "enter_time", "detections_identity": "time"}
_NESTED: Final = ("STRUCT", "[]", "MAP")
_BOXES: Final = """SELECT run_id, camera_id, frame_index, epoch_us(time) AS time_us, local_id, x1_px, y1_px,
       x2_px::DOUBLE - x1_px AS width_px, y2_px::DOUBLE - y1_px AS height_px, confidence, mask
    FROM detections WHERE {when} ORDER BY run_id, camera_id, frame_index, local_id, x1_px"""


def export_csv(lake: Lake, interval: Interval, table: str, out: Path) -> dict[str, int]:
    """Rows of a table or view whose instant lies in the interval; of a view without one, all of the site.

    QueryError where there is no such table; LakeError where the file is there already.
    """
    columns = _columns(lake, table)
    when = DAY_COLUMN.get(table) or _ALSO.get(table)
    fields = ", ".join(
        f'to_json("{name}")::VARCHAR AS "{name}"' if any(word in kind for word in _NESTED) else f'"{name}"'
        for name, kind in columns.items()
    )
    if when is None:
        question = f"SELECT {fields} FROM {table} WHERE site_id = $site ORDER BY ALL"
        parts = [lake.rows(question, {"site": interval.site_id})]
        return {f"{table}.csv": _write_csv(out / f"{table}.csv", list(columns), iter(parts))}
    question = f"SELECT {fields} FROM {table} WHERE {within(when)} ORDER BY {table}.{when}"
    slices = (lake.rows(question, interval_params(part)) for part in interval.slices(_step_us(table)))
    return {f"{table}.csv": _write_csv(out / f"{table}.csv", list(columns), slices)}


def export_mot(lake: Lake, interval: Interval, out: Path) -> dict[str, int]:
    """Boxes by file. LakeError where one is there already."""
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        open_files: dict[str, TextIO] = {}
        for box in _boxes(lake, interval):
            name = f"{box['run_id']}/{box['camera_id']}.txt"
            if name not in open_files:
                open_files[name] = stack.enter_context(_new_file(out / name))
            open_files[name].write(_mot_line(box))
            counts[name] = counts.get(name, 0) + 1
    return counts


def export_coco(lake: Lake, interval: Interval, out: Path) -> dict[str, int]:
    """Annotations in the one file; sizes of pictures are given where a mask knows them, else null."""
    path, images, count = out / "detections.coco.json", dict[str, dict[str, Any]](), 0
    with _new_file(path) as file:
        file.write('{"categories": [{"id": 1, "name": "person"}],\n "annotations": [')
        for box in _boxes(lake, interval):
            name = f"{box['camera_id']}/{box['run_id']}/{box['frame_index']}"
            image = images.setdefault(name, _image(len(images) + 1, name, box))
            if box["mask"] is not None:
                image["height"], image["width"] = box["mask"]["size"]
            count += 1
            file.write(("\n" if count == 1 else ",\n") + json.dumps(_annotation(count, image["id"], box)))
        file.write('],\n "images": ' + json.dumps(list(images.values())) + "}\n")
    return {path.name: count}


def _columns(lake: Lake, table: str) -> dict[str, str]:
    known = {row["name"] for row in lake.rows("SHOW TABLES")}
    if table not in known:
        raise QueryError(f"{lake.root}: no table or view '{table}'; there are {', '.join(sorted(known))}")
    return {row["column_name"]: row["column_type"] for row in lake.rows(f"DESCRIBE {table}")}


def _step_us(table: str) -> int:
    """Detections in small pieces: there are millions."""
    return SLICE_US if table.startswith("detections") else 288 * SLICE_US


def _boxes(lake: Lake, interval: Interval) -> Iterator[dict[str, Any]]:
    question = _BOXES.format(when=within("time"))
    for part in interval.slices(SLICE_US):
        yield from lake.rows(question, interval_params(part))


def _mot_line(box: dict[str, Any]) -> str:
    who = -1 if box["local_id"] is None else box["local_id"]
    edges = ",".join(f"{box[name]:.2f}" for name in ("x1_px", "y1_px", "width_px", "height_px"))
    return f"{box['frame_index'] + 1},{who},{edges},{box['confidence']:.4f},-1,-1,-1\n"


def _image(number: int, name: str, box: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": name,
        "width": None,
        "height": None,
        "stream_id": box["camera_id"],
        "frame_number": box["frame_index"],
        "timestamp": iso_time(box["time_us"]),
    }


def _annotation(number: int, image_id: int, box: dict[str, Any]) -> dict[str, Any]:
    edges = [round(box[name], 2) for name in ("x1_px", "y1_px", "width_px", "height_px")]
    mask = {} if box["mask"] is None else {"segmentation": box["mask"]}
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": edges,
        "area": round(edges[2] * edges[3], 2),
        "iscrowd": 0,
        "score": round(box["confidence"], 4),
        "track_id": box["local_id"],
    } | mask


def _write_csv(path: Path, names: list[str], parts: Iterator[list[dict[str, Any]]]) -> int:
    count = 0
    with _new_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for rows in parts:
            writer.writerows([_cell(row[name]) for name in names] for row in rows)
            count += len(rows)
    return count


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file that appears whole, or not at all."""
    if path.exists():
        raise LakeError(f"{path}: exists already; remove it, or export into another folder")
    draft = path.with_name(f".{path.name}.draft")
    with lake_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.rename(path)


EXPORTS: Final[dict[str, Callable[[Lake, Interval, Path], dict[str, int]]]] = {"mot": export_mot, "coco": export_coco}
