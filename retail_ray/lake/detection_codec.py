"""Boxes of analysed frames to Arrow columns and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retail_ray.core.boxes import foot_points
from retail_ray.core.records import FOOT_SOURCES, DetectionRows
from retail_ray.core.types import UNTRACKED
from retail_ray.lake.schemas import MASK


def detection_columns(records: Sequence[Any]) -> dict[str, Any]:
    """Columns by name, without those that every table shares."""

    def joined(name: str, empty: tuple[int, ...], dtype: type[np.generic]) -> Any:
        return np.concatenate([np.zeros(empty, dtype), *(getattr(rows, name) for rows in records)])

    boxes, feet = joined("xyxy_px", (0, 4), np.float32), joined("foot_px", (0, 2), np.float32)
    floor = joined("floor_xy_m", (0, 2), np.float64)
    local_id = joined("local_id", (0,), np.int64)
    visible = joined("visible_share", (0,), np.float32)
    source = joined("foot_source", (0,), np.int8).astype(np.int32)
    edges = joined("edge_px", (0, 2), np.float32)
    at_box = (edges == foot_points(boxes)).all(axis=1)
    return {
        "camera_id": _cameras(records),
        "frame_index": joined("frame_index", (0,), np.int64),
        "time": joined("time_us", (0,), np.int64),
        **{f"{name}_px": boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        "confidence": joined("confidence", (0,), np.float32),
        "local_id": pa.array(local_id, mask=local_id == UNTRACKED),
        "foot_x_px": feet[:, 0],
        "foot_y_px": feet[:, 1],
        "foot_source": pa.DictionaryArray.from_arrays(pa.array(source), pa.array(FOOT_SOURCES)),
        "floor_x_m": pa.array(floor[:, 0], mask=np.isnan(floor[:, 0])),
        "floor_y_m": pa.array(floor[:, 1], mask=np.isnan(floor[:, 1])),
        "visible_share": pa.array(visible, mask=np.isnan(visible)),
        "mask": _masks(records),
        "edge_x_px": pa.array(edges[:, 0], mask=at_box),
        "edge_y_px": pa.array(edges[:, 1], mask=at_box),
    }


def _cameras(records: Sequence[DetectionRows]) -> pa.DictionaryArray:
    names = list(dict.fromkeys(rows.camera_id for rows in records))
    places = np.repeat([names.index(rows.camera_id) for rows in records], [len(rows) for rows in records])
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), pa.array(names, pa.string()))


def _masks(records: Sequence[DetectionRows]) -> pa.Array | list[dict[str, Any] | None]:
    if all(counts is None for rows in records for counts in rows.mask_rle):
        return pa.nulls(sum(map(len, records)), MASK)
    return [_mask(counts, rows.mask_hw) for rows in records for counts in rows.mask_rle]


def _mask(counts: bytes | None, size_hw: tuple[int, int]) -> dict[str, Any] | None:
    return None if counts is None else {"size": list(size_hw), "counts": counts.decode("ascii")}


def decode_detections(data: pa.Table) -> list[Any]:
    """One DetectionRows per camera and mask size, in the rows' order."""
    cameras, masks = data["camera_id"].to_pylist(), data["mask"].to_pylist()
    sizes = [None if mask is None else tuple(mask["size"]) for mask in masks]
    result: list[Any] = []
    start = 0
    for camera_id, rows in groupby(range(len(data)), cameras.__getitem__):
        camera_rows = list(rows)
        for stop in _size_changes(sizes, camera_rows):
            part = data.slice(start, stop - start)
            result.append(_one_camera(camera_id, part, masks[start:stop], sizes[start:stop]))
            start = stop
    return result


def _size_changes(sizes: list[Any], rows: list[int]) -> list[int]:
    """Where a run of rows must end so that each holds masks of one frame size only."""
    ends, current = [], None
    for row in rows:
        if sizes[row] is not None and current not in (None, sizes[row]):
            ends.append(row)
        current = sizes[row] or current
    return [*ends, rows[-1] + 1]


def _one_camera(camera_id: str, data: pa.Table, masks: list[Any], sizes: list[Any]) -> DetectionRows:
    def numbers(*names: str, dtype: type[np.generic]) -> Any:
        columns = [data[name].to_numpy().astype(dtype) for name in names]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    source = {name: i for i, name in enumerate(FOOT_SOURCES)}
    return DetectionRows(
        camera_id=camera_id,
        frame_index=numbers("frame_index", dtype=np.int64),
        time_us=data["time"].cast(pa.int64()).to_numpy(),
        xyxy_px=numbers("x1_px", "y1_px", "x2_px", "y2_px", dtype=np.float32),
        confidence=numbers("confidence", dtype=np.float32),
        local_id=pc.fill_null(data["local_id"], UNTRACKED).to_numpy(),
        foot_px=numbers("foot_x_px", "foot_y_px", dtype=np.float32),
        foot_source=np.array([source[name] for name in data["foot_source"].to_pylist()], np.int8),
        floor_xy_m=numbers("floor_x_m", "floor_y_m", dtype=np.float64),
        visible_share=numbers("visible_share", dtype=np.float32),
        mask_rle=tuple(None if mask is None else mask["counts"].encode("ascii") for mask in masks),
        mask_hw=next((size for size in sizes if size is not None), (0, 0)),
        edge_px=edges_px(data),
    )


def edges_px(data: pa.Table) -> NDArray[np.float32]:
    """(N, 2) lower ends of what is seen; of files before schema version 3 the middle of each box's lower edge."""
    boxes = np.stack([data[f"{name}_px"].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
    edges = foot_points(boxes)
    if "edge_x_px" in data.column_names:
        stored = np.stack([data[f"edge_{axis}_px"].to_numpy() for axis in "xy"], axis=1)
        edges = np.where(np.isnan(stored), edges, stored)
    return np.asarray(edges, np.float32)
