from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.core.errors import LakeError, QueryError
from retail_ray.core.time import US_PER_S
from retail_ray.evaluation.mot import read_mot
from retail_ray.lake.exports import export_coco, export_csv, export_mot
from retail_ray.lake.interchange import Interval
from retail_ray.lake.views import open_lake
from tests.lake.maintained import BOXES, CAMERAS, EPOCHS_A_DAY, SITE, boxes, epoch_us, write_days

WHOLE = Interval(SITE, epoch_us(0), epoch_us(EPOCHS_A_DAY))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    write_days(tmp_path / "lake", 1)
    return tmp_path / "lake"


def test_mot_text_is_read_back_as_the_same_boxes(lake: Path, tmp_path: Path) -> None:
    one = Interval(SITE, epoch_us(1), epoch_us(2))
    with open_lake(lake) as opened:
        counts = export_mot(opened, one, tmp_path / "out")
    assert counts == {f"r1/{camera}.txt": BOXES for camera in CAMERAS}
    first = (tmp_path / "out/r1/door.txt").read_text().splitlines()[0]
    assert first == "1,2,2.00,0.00,50.00,150.00,0.9000,-1,-1,-1"
    true = boxes("door", 2, 0)
    rows = read_mot(tmp_path / "out/r1/door.txt")
    assert len(rows) == BOXES
    text = np.loadtxt(tmp_path / "out/r1/door.txt", delimiter=",")
    np.testing.assert_array_equal(text[:, 0], true.frame_index + 1)
    np.testing.assert_array_equal(text[:, 1], true.local_id)
    np.testing.assert_allclose(text[:, 2:4] + text[:, 4:6], true.xyxy_px[:, 2:], atol=0.01)


def test_coco_json_names_frames_and_tracks(lake: Path, tmp_path: Path) -> None:
    with open_lake(lake) as opened:
        assert export_coco(opened, WHOLE, tmp_path / "out") == {"detections.coco.json": 2 * EPOCHS_A_DAY * BOXES}
    content = json.loads((tmp_path / "out/detections.coco.json").read_text())
    images = {image["id"]: image for image in content["images"]}
    assert {image["file_name"] for image in images.values()} == {
        f"{camera}/r1/{frame}" for camera in CAMERAS for frame in range(BOXES)
    }
    untracked = [note for note in content["annotations"] if note["track_id"] is None]
    assert {images[note["image_id"]]["frame_number"] for note in untracked} == {BOXES - 1}
    assert content["annotations"][0]["bbox"] == [1.0, 0.0, 50.0, 150.0]
    assert content["categories"] == [{"id": 1, "name": "person"}]


@pytest.mark.parametrize(("table", "count"), [("detections", 2 * BOXES), ("journeys", 1), ("tracklet_identity", 6)])
def test_csv_of_tables_and_views(lake: Path, tmp_path: Path, table: str, count: int) -> None:
    with open_lake(lake) as opened:
        assert export_csv(opened, Interval(SITE, epoch_us(1), epoch_us(2)), table, tmp_path) == {f"{table}.csv": count}
        names = [row["column_name"] for row in opened.rows(f"DESCRIBE {table}")]
    with (tmp_path / f"{table}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert list(rows[0]) == names
    if table == "journeys":
        (stay,) = json.loads(rows[0]["stays"])
        assert (stay["zone_id"], stay["dwell_s"]) == ("shelf", 9.0)


def test_what_is_there_is_not_written_over(lake: Path, tmp_path: Path) -> None:
    with open_lake(lake) as opened:
        export_csv(opened, WHOLE, "heat", tmp_path)
        with pytest.raises(LakeError, match="exists already"):
            export_csv(opened, WHOLE, "heat", tmp_path)
        with pytest.raises(QueryError, match="no table or view 'heats'"):
            export_csv(opened, WHOLE, "heats", tmp_path)


def test_the_command(lake: Path, tmp_path: Path) -> None:
    common = ["export", "--lake", str(lake), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*common, "--format", "csv", "--table", "occupancy"])
    assert done.exit_code == 0, done.output
    assert "occupancy.csv: 3" in done.output
    assert CliRunner().invoke(main, [*common, "--format", "csv"]).exit_code == 2
    done = CliRunner().invoke(main, [*common, "--format", "mot", "--to", "2026-03-02T09:00:05"])
    assert f"door.txt: {5 * US_PER_S // US_PER_S}" in done.output
