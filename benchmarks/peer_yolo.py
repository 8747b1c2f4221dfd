"""`yolo track` as its users run it, in a process of its own: prints when it began and ended, and its boxes.

python -m benchmarks.peer_yolo --weights W --clip C [--boxes OUT.txt]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--boxes", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    from ultralytics import YOLO

    model = YOLO(arguments.weights, task="detect")
    model.predict(np.zeros((64, 64, 3), np.uint8), verbose=False)
    began = 0.0
    frames = 0
    lines = []
    for result in model.track(source=arguments.clip, stream=True, classes=[0], verbose=False, tracker="bytetrack.yaml"):
        if frames == 0:
            began = time.time()
        frames += 1
        if result.boxes.id is not None:
            for number, box, confidence in zip(result.boxes.id, result.boxes.xyxy, result.boxes.conf, strict=True):
                x0, y0, x1, y1 = (float(v) for v in box)
                lines.append(f"{frames},{int(number)},{x0},{y0},{x1 - x0},{y1 - y0},{float(confidence)},-1,-1,-1")
    ended = time.time()
    if arguments.boxes:
        arguments.boxes.write_text("\n".join(lines))
    # The first frame carries the tracker's set-up; time counts from its end.
    print(json.dumps({"frames": frames - 1, "began_s": began, "worked_s": ended}))


if __name__ == "__main__":
    main()
