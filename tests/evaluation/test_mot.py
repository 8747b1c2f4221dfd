from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.core.errors import DataError
from retail_ray.evaluation.mot import read_mot, write_mot
from retail_ray.evaluation.track_boxes import TrackBoxes

GOOD = "1,1,10,20,30,40,1,1,1\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2,3,4,5", "at least 6 fields, found 5"),
        ("1,2,3,4,x,6", "width must be a number, found 'x'"),
        ("1,2,3,,5,6", "top must be a number, found ''"),
        ("0,2,3,4,5,6", "frames count from 1, found 0"),
        ("1.5,2,3,4,5,6", "frame must be a whole number"),
        ("1,0,3,4,5,6", "ids count from 1"),
        ("1,-7,3,4,5,6", "ids count from 1"),
        ("1,2,3,4,0,6", "must be positive, found 0 x 6"),
        ("1,2,3,4,5,-6", "must be positive, found 5 x -6"),
        ("1,2,nan,4,5,6", "left must be finite"),
        ("1,2,3,4,5,6,inf", "confidence must be finite"),
        ("1,1,3,4,5,6", "id 1 already stands in frame 1, at line 1"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_value(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(DataError) as error:
        read_mot(path)
    assert f"{path} line 3" in str(error.value)
    assert said in str(error.value)


def test_a_picture_called_txt_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(DataError, match="not MOTChallenge text, byte 0"):
        read_mot(path)


def test_rows_of_the_format_are_read_column_by_column(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("3,7,10.5,20,30,40,0,7,0.25\r\n2,-1,1,2,3,4,0.9\n2,-1,5,6,7,8,0.8\n")
    rows = read_mot(path)
    assert rows.frame.tolist() == [3, 2, 2]
    assert rows.track_id.tolist() == [7, -1, -1]
    assert rows.xyxy_px.tolist() == [[10.5, 20, 40.5, 60], [1, 2, 4, 6], [5, 6, 12, 14]]
    assert rows.confidence.tolist() == [0, 0.9, 0.8]
    assert rows.class_id.tolist() == [7, 1, 1]
    assert rows.visibility.tolist() == [0.25, 1, 1]


def test_only_flagged_pedestrians_are_scored(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,1,0,0,9,9,1,1,1\n1,2,0,0,9,9,0,1,1\n1,3,0,0,9,9,1,7,1\n")
    assert read_mot(path).scored().track_id.tolist() == [1]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n\n")
    assert len(read_mot(path)) == 0
    assert len(read_mot(path).tracks()) == 0


def test_towncentre_is_read_whole(shared_data: Path) -> None:
    truth = read_mot(shared_data / "clips" / "towncentre" / "gt.txt").scored()
    assert (len(truth), len(np.unique(truth.track_id)), len(np.unique(truth.frame))) == (2966, 24, 302)
    assert truth.xyxy_px[0].tolist() == pytest.approx([235.93, 770.14, 235.93 + 135.62, 770.14 + 330.89])


@st.composite
def _boxes(draw: st.DrawFn) -> TrackBoxes:
    keys = draw(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), unique=True, max_size=40))
    n = len(keys)
    number = st.floats(-500, 4000, allow_nan=False, width=32)
    side = st.floats(1 / 64, 2000, width=32)
    corner = np.array(draw(st.lists(st.tuples(number, number), min_size=n, max_size=n)), np.float64).reshape(-1, 2)
    sides = np.array(draw(st.lists(st.tuples(side, side), min_size=n, max_size=n)), np.float64).reshape(-1, 2)
    table = np.array(keys, np.int64).reshape(-1, 2)
    return TrackBoxes(table[:, 0], table[:, 1], np.hstack([corner, corner + sides]))


@given(boxes=_boxes())
def test_writing_and_reading_gives_the_same_boxes(tmp_path_factory: pytest.TempPathFactory, boxes: TrackBoxes) -> None:
    path = tmp_path_factory.mktemp("mot") / "result.txt"
    write_mot(path, boxes)
    again = read_mot(path).tracks()
    order = np.lexsort((boxes.track_id, boxes.frame))
    assert again.frame.tolist() == boxes.frame[order].tolist()
    assert again.track_id.tolist() == boxes.track_id[order].tolist()
    np.testing.assert_allclose(again.xyxy_px, boxes.xyxy_px[order], atol=1.01e-3)


@pytest.mark.parametrize(("frame", "track_id"), [(0, 1), (1, 0)])
def test_counting_from_zero_is_refused_on_writing(tmp_path: Path, frame: int, track_id: int) -> None:
    boxes = TrackBoxes(np.array([frame]), np.array([track_id]), np.array([[0.0, 0, 1, 1]]))
    with pytest.raises(DataError, match="counts every"):
        write_mot(tmp_path / "r.txt", boxes)


def test_an_id_twice_in_a_frame_is_refused() -> None:
    with pytest.raises(DataError, match="id 5 stands twice in frame 2"):
        TrackBoxes(np.array([2, 2]), np.array([5, 5]), np.zeros((2, 4)))
