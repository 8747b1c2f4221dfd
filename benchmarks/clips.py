"""The shared clips with ground truth, and detections on them that every tracker of a comparison shares."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import ROOT
from retail_ray.core.types import Detections, Image
from retail_ray.evaluation.mot import MotRows, read_mot

if TYPE_CHECKING:
    from av import VideoFrame

SHARED = Path(os.environ.get("RETAIL_RAY_SHARED", ROOT.parent / "shared")) / "data"
WEIGHTS = SHARED / "weights" / "yolo11n_int8_openvino_model"
CONFIDENCE, NMS_IOU, PERSON = 0.1, 0.7, 0


@dataclass(frozen=True)
class Clip:
    """A clip whose frames count from 1, as its ground truth does."""

    name: str
    source: Path
    truth_path: Path
    frame_rate: float

    def frames(self) -> Iterator[tuple[int, Image]]:
        """(number, RGB image) of every frame there is."""
        import av

        if self.source.is_dir():
            for path in sorted(self.source.glob("*.jpg")):
                with av.open(str(path)) as container:
                    yield int(path.stem), _rgb(next(container.decode(video=0)))
            return
        with av.open(str(self.source)) as container:
            container.streams.video[0].thread_count = 1
            for number, frame in enumerate(container.decode(video=0), start=1):
                yield number, _rgb(frame)

    def truth(self) -> MotRows:
        return read_mot(self.truth_path)


def _rgb(frame: VideoFrame) -> Image:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def towncentre() -> Clip:
    folder = SHARED / "clips" / "towncentre"
    return Clip("towncentre", folder / "video.mp4", folder / "gt.txt", 30.0)


def mot17_mini() -> list[Clip]:
    rates = {"02": 30.0, "05": 14.0, "09": 30.0, "11": 30.0}
    folder = SHARED / "clips" / "mot17_mini"
    names = {number: folder / f"MOT17-{number}-FRCNN" for number in rates}
    return [Clip(path.name, path / "img1", path / "gt" / "gt.txt", rates[n]) for n, path in names.items()]


def looped(source: Path, target: Path, loops: int) -> Path:
    """The clip so many times in a row, remuxed without decoding."""
    import av

    with av.open(str(target), "w") as writing:
        stream, offset = None, 0
        for _ in range(loops):
            with av.open(str(source)) as reading:
                video = reading.streams.video[0]
                stream = stream or writing.add_stream_from_template(video)
                end = 0
                for packet in reading.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    writing.mux(packet)
                offset += end
    return target


def detections_of_clip(clip: Clip) -> dict[int, Detections]:
    """People in every frame, by frame number: YOLO11n INT8 (OpenVINO, 640 x 640) at confidence 0.1, NMS 0.7.

    Kept in the machine's temporary folder, so that a second run of a benchmark need not detect again.
    """
    cache = Path(tempfile.gettempdir()) / "retail_ray_benchmarks" / f"{clip.name}-{WEIGHTS.name}-{CONFIDENCE}.npz"
    if not cache.is_file():
        cache.parent.mkdir(parents=True, exist_ok=True)
        rows = np.concatenate(list(_detect(clip)))
        part = cache.with_suffix(".part.npz")
        np.savez(part, rows=rows)
        part.replace(cache)
    rows = np.load(cache)["rows"]
    return {int(number): _of_frame(rows[rows[:, 0] == number]) for number in np.unique(rows[:, 0])}


def _detect(clip: Clip) -> Iterator[NDArray[np.float32]]:
    """(N + 1, 6) frame number, xyxy, confidence; the first row, of confidence 0, stands for the frame itself."""
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
    from ultralytics import YOLO

    model = YOLO(str(WEIGHTS), task="detect")
    for number, image in clip.frames():
        bgr = np.ascontiguousarray(image[..., ::-1])
        found = model.predict(bgr, conf=CONFIDENCE, iou=NMS_IOU, classes=[PERSON], verbose=False)[0].boxes
        boxes = np.column_stack([found.xyxy.cpu().numpy(), found.conf.cpu().numpy()])
        rows = np.vstack([np.zeros((1, 5)), boxes.reshape(-1, 5)])
        yield np.column_stack([np.full(len(rows), number), rows]).astype(np.float32)


def _of_frame(rows: NDArray[np.float32]) -> Detections:
    rows = rows[rows[:, 5] > 0]
    return Detections(rows[:, 1:5], rows[:, 5], np.zeros(len(rows), np.int32))
