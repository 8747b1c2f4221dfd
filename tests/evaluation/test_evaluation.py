"""A lake that is right scores 1 everywhere; each kind of defect moves the numbers that it should, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.core.errors import DataError, LakeError
from retail_ray.core.records import IdentityEvent, LineCrossing
from retail_ray.core.time import US_PER_S, BusinessDay
from retail_ray.evaluation.evaluation import FORMAT, evaluate
from retail_ray.evaluation.measures import Measure, flat
from retail_ray.lake.codecs import RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.truth import TRUTH_FIELDS
from tests.evaluation.stores import DURATION_S, FPS, OF, START_US, WALKS, Seen, boxes, perfect, take, write_true

WORST_IS_ZERO = {
    "id_switches",
    "false_merges",
    "false_splits",
    "tracklets_of_nobody",
    "error",
    "mean_error",
    "max_error",
    "inside_before",
    "median",
    "p90",
    "bias_s",
    "missed",
    "false",
    "censored",
    "brier",
}
COUNTS = {"true", "counted", "people", "identities", "cameras", "raw", "staff_excluded"}


def measured(seen: Seen, folder: Path, name: str = "lake") -> dict[str, Measure]:
    truth = folder / "truth"
    if not truth.exists():
        write_true(truth)
    return flat(evaluate(seen.write(folder / name), truth).sections)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measure]:
    return measured(perfect(), tmp_path_factory.mktemp("right"))


def test_a_lake_that_saw_everything_right_is_perfect(right: dict[str, Measure]) -> None:
    assert len(right) > 80
    for name, measure in right.items():
        last = name.rsplit(".", 1)[-1]
        if measure.value is None:
            assert "by_" in name or "within_camera" in name, f"{name}: {measure.why}"
        elif last not in COUNTS:
            assert measure.value == (0 if last in WORST_IS_ZERO else 1), name
    assert right["doors.all.in.counted"].value == 4
    assert right["visitors.identities"].value == right["visitors.people"].value == 4
    assert right["queues.wait_error_s.median"].n == 2
    assert right["floor.hota"].n == 4 * 24 * 2


@dataclass(frozen=True)
class Defect:
    """moves: sections that may change. must: values that the defect gives, computed by hand."""

    make: Callable[[Seen], None]
    moves: set[str]
    must: dict[str, float]


def _swap_ids(seen: Seen) -> None:
    """Persons 1 and 2 swap tracklets in `left` after 15 s, when both are in view."""
    rows = seen.detections["left"]
    late = rows.frame_index >= 15 * FPS
    swapped = np.select([late & (rows.local_id == 10), late & (rows.local_id == 20)], [20, 10], rows.local_id)
    seen.detections["left"] = replace(rows, local_id=swapped)


def _miss_boxes(seen: Seen) -> None:
    """Every tenth box of `right` was not found."""
    seen.keep("right", np.arange(len(seen.detections["right"])) % 10 != 5)


def _late(seen: Seen) -> None:
    """The lake's door events come 3 s late."""
    crossings = seen.tables["line_crossings"]
    seen.tables["line_crossings"] = [replace(row, time_us=row.time_us + 3 * US_PER_S) for row in crossings]


def _merge(seen: Seen) -> None:
    """Persons 1 and 3, never there together, are held for one."""
    for camera in ("left", "right"):
        seen.identities[camera, 30] = 1


def _split(seen: Seen) -> None:
    """Person 4 is somebody else in `right`."""
    seen.identities["right", 40] = 9


def _lose_entry(seen: Seen) -> None:
    del seen.tables["line_crossings"][0]


def _count_twice(seen: Seen) -> None:
    first = seen.tables["line_crossings"][0]
    seen.tables["line_crossings"].append(replace(first, time_us=first.time_us + US_PER_S, local_id=10))


def _turn_round(seen: Seen) -> None:
    """Person 2's entry is counted as an exit."""
    seen.change("line_crossings", 2, direction="out")


def _false_person(seen: Seen, frames: int = 200) -> None:
    """A mannequin is followed in `left`, 200 frames long."""
    rows = seen.detections["left"]
    number = np.arange(frames)
    added = replace(
        take(rows, np.arange(len(rows)) < frames),
        frame_index=number,
        time_us=START_US + number * US_PER_S // FPS,
        local_id=np.full(frames, 99),
        xyxy_px=np.tile(np.array([900, 300, 950, 450], np.float32), (frames, 1)),
        floor_xy_m=np.tile([2.0, 8.0], (frames, 1)),
    )
    seen.detections["left"] = replace(rows, **{n: np.concatenate([getattr(rows, n), getattr(added, n)]) for n in _ROWS})
    seen.identities["left", 99] = 99


_ROWS = (
    "frame_index",
    "time_us",
    "xyxy_px",
    "confidence",
    "local_id",
    "foot_px",
    "foot_source",
    "floor_xy_m",
    "edge_px",
    "visible_share",
    "mask_rle",
)


def _mirror_floor(seen: Seen) -> None:
    """`right` believes that its floor runs the other way."""
    rows = seen.detections["right"]
    seen.detections["right"] = replace(rows, floor_xy_m=rows.floor_xy_m * [-1, 1] + [16, 0])


def _short_stay(seen: Seen) -> None:
    """Person 1 is believed to leave the zone 4 s early, in the camera that saw the end."""
    seen.change("zone_visits", 1, exit_us=seen.tables["zone_visits"][1].exit_us - 4 * US_PER_S)


def _miss_stay(seen: Seen) -> None:
    del seen.tables["zone_visits"][2:4]


def _miscount_inside(seen: Seen) -> None:
    row = seen.tables["occupancy"][1]
    seen.change("occupancy", 1, inside=row.inside + 3)


def _served_instead(seen: Seen) -> None:
    """Who gave up is thought to have been served."""
    visit = seen.tables["queue_visits"][1]
    seen.change("queue_visits", 1, outcome="served", service_us=visit.leave_us - 2 * US_PER_S)


def _long_wait(seen: Seen) -> None:
    visit = seen.tables["queue_visits"][0]
    seen.change("queue_visits", 0, service_us=visit.service_us + US_PER_S)


def _long_queue(seen: Seen) -> None:
    seen.change("queue_metrics", 0, queue_length_mean=seen.tables["queue_metrics"][0].queue_length_mean + 0.5)


BOXES = 4 * 16 * FPS  # in each camera: 4 people, 16 s
DEFECTS: dict[str, Defect] = {
    # `left` sees person 1 until 16 s, and person 2 from 13 s to 29 s: 1 s and 14 s of them are swapped.
    "id swap": Defect(
        _swap_ids,
        {"cameras", "across_cameras", "floor", "links"},
        {
            "cameras.left.id_switches": 2,
            "cameras.left.det_a": 1,
            # The best assignment of ids keeps 15 s of person 1 and 2 s of person 2: 15 s of both are lost.
            "cameras.left.idf1": (BOXES - 15 * FPS) / BOXES,
            "cameras.right.idf1": 1,
            "links.pure_tracklets": 6 / 8,
        },
    ),
    "missed boxes": Defect(
        _miss_boxes,
        {"detector", "cameras", "across_cameras"},
        {
            "detector.recall": 0.95,
            "detector.precision": 1,
            "cameras.right.recall": 0.9,
            "cameras.right.precision": 1,
            "cameras.right.mota": 0.9,
            "cameras.left.hota": 1,
        },
    ),
    "events late": Defect(
        _late,
        {"doors"},
        {"doors.all.f1": 0, "doors.all.recall": 0, "doors.all.precision": 0, "doors.all.retail_accuracy": 1},
    ),
    "persons merged": Defect(
        _merge,
        {"across_cameras", "floor", "links", "visitors", "staff"},
        {
            "links.false_merges": 1,
            "links.false_splits": 0,
            # Of two identities' 4 tracklets, cross pairs by identity: 2 × 2 + 1 + 1; right ones 4.
            "links.across_cameras.precision": 4 / 6,
            "links.across_cameras.recall": 1,
            "visitors.error": -1 / 4,
            "across_cameras.idf1": 3 / 4,
            "across_cameras.det_a": 1,
        },
    ),
    "person split": Defect(
        _split,
        {"across_cameras", "floor", "links", "visitors", "dwell", "staff"},
        {
            "links.false_merges": 0,
            "links.false_splits": 1,
            "links.identities_per_person": 5 / 4,
            "links.across_cameras.precision": 1,
            "links.across_cameras.recall": 3 / 4,
            "visitors.error": 1 / 4,
            # One of person 4's halves is lost, and the other counted against it.
            "across_cameras.idf1": 7 / 8,
            # The stay falls into two: one is too many.
            "dwell.all.false": 1,
            "dwell.all.missed": 0,
        },
    ),
    "lost entry": Defect(
        _lose_entry,
        {"doors"},
        {
            "doors.all.recall": 7 / 8,
            "doors.all.precision": 1,
            "doors.all.f1": 14 / 15,
            "doors.all.retail_accuracy": 7 / 8,
            "doors.all.worst_hour": 7 / 8,
            "doors.door.in.counted": 3,
        },
    ),
    "double count": Defect(
        _count_twice,
        {"doors"},
        {"doors.all.recall": 1, "doors.all.precision": 8 / 9, "doors.all.retail_accuracy": 7 / 8},
    ),
    "wrong direction": Defect(
        _turn_round,
        {"doors"},
        {"doors.all.recall": 7 / 8, "doors.all.precision": 7 / 8, "doors.all.retail_accuracy": 6 / 8},
    ),
    "false person": Defect(
        _false_person,
        {"detector", "cameras", "across_cameras", "floor", "links", "visitors", "staff"},
        {
            "detector.recall": 1,
            "detector.precision": 2 * BOXES / (2 * BOXES + 200),
            "cameras.left.precision": BOXES / (BOXES + 200),
            "cameras.left.recall": 1,
            "links.tracklets_of_nobody": 1,
            "links.false_merges": 0,
            "visitors.error": 1 / 4,
            "visitors.long.error": 1 / 4,
        },
    ),
    "false person for a moment": Defect(
        partial(_false_person, frames=2 * FPS),
        {"detector", "cameras", "across_cameras", "floor", "links", "visitors", "staff"},
        {"visitors.error": 1 / 4, "visitors.long.error": 0},
    ),
    "floor mirrored": Defect(_mirror_floor, {"floor"}, {}),
    "stay cut short": Defect(_short_stay, {"dwell"}, {"dwell.all.bias_s": 0, "dwell.shelf.missed": 0}),
    "stay missed": Defect(_miss_stay, {"dwell"}, {"dwell.all.missed": 1, "dwell.all.found": 3 / 4}),
    "miscounted inside": Defect(
        _miscount_inside, {"occupancy"}, {"occupancy.mean_error": 1.5, "occupancy.max_error": 3}
    ),
    "entries short": Defect(
        lambda seen: seen.change("occupancy", 0, entries=seen.tables["occupancy"][0].entries - 1),
        {"occupancy"},
        {"occupancy.mean_error": 0, "occupancy.change.mean_error": 0.5, "occupancy.change.max_error": 1},
    ),
    "abandonment missed": Defect(
        _served_instead, {"queues"}, {"queues.abandonment.recall": 0, "queues.wait_error_s.median": 0}
    ),
    "wait too long": Defect(_long_wait, {"queues"}, {"queues.wait_error_s.median": 0.5, "queues.found": 1}),
    "queue too long": Defect(
        _long_queue, {"queues"}, {"queues.length.mean_error": 0.25, "queues.length.max_error": 0.5}
    ),
    "staff held for a visitor": Defect(
        lambda seen: seen.change("journeys", 3, staff_probability=0.4),
        {"staff"},
        {
            "staff.recall": 0,
            "staff.brier": 0.6**2 / 4,
            "staff.auc": 1,
            "staff.visitors.raw": 4,
            "staff.visitors.error": 1 / 3,
        },
    ),
    "visitor held for staff": Defect(
        lambda seen: seen.change("journeys", 2, staff_probability=1.0),
        {"staff"},
        # One of three visitors ranks level with the one of the staff.
        {"staff.precision": 1 / 2, "staff.recall": 1, "staff.auc": 5 / 6, "staff.visitors.error": -1 / 3},
    ),
    "group missed": Defect(
        lambda seen: seen.change("journeys", 1, group_id=None),
        {"groups"},
        {"groups.recall": 0, "groups.f1": 0, "groups.groups.true": 1, "groups.groups.counted": 0},
    ),
    "stranger in a group": Defect(
        lambda seen: seen.change("journeys", 2, group_id=7),
        {"groups"},
        {"groups.precision": 1 / 3, "groups.recall": 1, "groups.f1": 2 / 4, "groups.groups.counted": 1},
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_moves_its_own_numbers_only(name: str, right: dict[str, Measure], tmp_path: Path) -> None:
    defect, seen = DEFECTS[name], perfect()
    defect.make(seen)
    broken = measured(seen, tmp_path)
    changed = {key.split(".")[0] for key, value in broken.items() if value.value != right[key].value}
    assert changed == defect.moves
    assert {key: broken[key].value for key in defect.must} == pytest.approx(defect.must)


def test_a_broken_floor_and_everyone_one_person_score_badly(tmp_path: Path) -> None:
    seen = perfect()
    _mirror_floor(seen)
    assert measured(seen, tmp_path, "mirrored")["floor.idf1"].value < 0.75
    seen = perfect()
    seen.identities = dict.fromkeys(seen.identities, 1)
    everyone = measured(seen, tmp_path, "everyone")
    assert everyone["across_cameras.idf1"].value < 0.45
    assert everyone["across_cameras.det_a"].value == 1
    assert everyone["cameras.all.idf1"].value == 1
    assert everyone["visitors.error"].value == -3 / 4


def test_what_the_lake_does_not_have_is_not_measured(tmp_path: Path) -> None:
    seen = perfect()
    for table in ("line_crossings", "zone_visits", "occupancy", "queue_visits", "queue_metrics"):
        seen.tables[table] = []
    seen.settings = None
    found = measured(seen, tmp_path)
    for name in (
        "doors.f1",
        "dwell.error_s",
        "occupancy.mean_error",
        "queues.length.mean_error",
        "queues.wait_error_s",
    ):
        assert found[name].value is None, name
        assert found[name].as_dict()["not_measured"]
    assert found["cameras.all.hota"].value == 1


def test_a_truth_without_video_scores_events_and_stays(right: dict[str, Measure], tmp_path: Path) -> None:
    """As `simulate events` writes it: no frames, no boxes."""
    empty = {name: {field: [] for field in TRUTH_FIELDS[name]} for name in ("frames", "boxes", "masks")}
    truth = write_true(tmp_path / "truth", **empty)
    found = flat(evaluate(perfect().write(tmp_path / "lake"), truth).sections)
    for name in ("doors.all.f1", "dwell.all.error_s.median", "dwell.all.right", "queues.found", "occupancy.mean_error"):
        assert found[name].value == right[name].value, name
    for name in ("cameras.all.hota", "across_cameras.hota", "floor.hota", "links.recall", "detector.recall"):
        assert found[name].value is None, name


def test_a_counted_line_without_crossings_is_measured_as_zero(tmp_path: Path) -> None:
    seen = perfect()
    seen.tables["line_crossings"] = []
    assert measured(seen, tmp_path)["doors.all.recall"].value == 0


def test_people_too_small_or_hidden_are_neither_missed_nor_false(tmp_path: Path) -> None:
    """Person 1 is 10 % visible: found or not, the scores of the others stay; half the people of `right` remain."""
    parts = {camera: boxes(camera) for camera in ("left", "right")}
    person = np.concatenate([part["person"] for part in parts.values()])
    truth = _with_visibility(tmp_path / "truth", np.where(person == 1, 0.1, 1.0))
    found = perfect()
    without = perfect()
    for camera, rows in without.detections.items():
        without.keep(camera, rows.local_id != 10)
    for name, seen in (("found", found), ("without", without)):
        scores = flat(evaluate(seen.write(tmp_path / name), truth).sections)
        assert (scores["cameras.all.mota"].value, scores["cameras.all.hota"].value) == (1, 1), name
        assert scores["detector.precision"].value == scores["detector.recall"].value == 1
        assert scores["cameras.all.mota"].n == 2 * BOXES * 3 / 4


def _with_visibility(folder: Path, visible_share: np.ndarray[Any, Any]) -> Path:
    from retail_ray.lake.truth import read_truth

    table = dict(read_truth(write_true(folder)).tables["boxes"]) | {"visible_share": visible_share}
    return write_true(folder, boxes=table)


def test_frames_without_any_box_in_the_lake_count_as_analysed(tmp_path: Path) -> None:
    seen = perfect()
    seen.keep("right", seen.detections["right"].frame_index < 30 * FPS)
    shown = int((boxes("right")["frame"] < 30 * FPS).sum())
    scores = measured(seen, tmp_path)
    assert scores["cameras.right.recall"].value == shown / BOXES
    assert scores["detector.recall"].n == 2 * BOXES


def test_a_slower_analysis_is_scored_on_its_own_frames(tmp_path: Path) -> None:
    seen = perfect()
    seen.settings = {"cameras": [{"id": c, "analysis_fps": FPS / 2} for c in seen.detections], "lines": [], "zones": []}
    for camera, rows in seen.detections.items():
        seen.keep(camera, rows.frame_index % 2 == 0)
    scores = measured(seen, tmp_path)
    assert scores["cameras.all.hota"].value == scores["detector.recall"].value == 1
    assert scores["cameras.all.hota"].n == BOXES


def test_a_camera_that_failed_is_not_measured_and_lowers_coverage(tmp_path: Path) -> None:
    seen = perfect()
    del seen.detections["right"]
    seen.tables["coverage"] = [row for row in seen.tables["coverage"] if row.camera_id == "left"]
    scores = measured(seen, tmp_path)
    assert scores["cameras.right.hota"].value is None
    assert scores["cameras.all.hota"].value == 1
    assert scores["coverage.frames"].value == 0.5
    assert scores["coverage.cameras"].value == 1


OTHERS = {
    "another site": (replace(OF, site_id="other"), LakeError, r"no rows of site 'other'; the lake holds shop"),
    "another day": (
        replace(OF, start_us=OF.start_us + 86_400 * US_PER_S, end_us=OF.end_us + 86_400 * US_PER_S),
        LakeError,
        r"has rows from 2026-03-02 10:00:00 .*none between 2026-03-03 10:00:00",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_truth_of_something_else_is_refused(case: str, tmp_path: Path) -> None:
    of, error, message = OTHERS[case]
    lake, truth = perfect().write(tmp_path / "lake"), write_true(tmp_path / "truth", of)
    with pytest.raises(error, match=message) as refused:
        evaluate(lake, truth)
    assert str(lake) in str(refused.value)
    assert str(truth) in str(refused.value)


def test_truth_of_other_clips_of_the_same_time_is_refused(tmp_path: Path) -> None:
    lake = perfect().write(tmp_path / "lake")
    every = np.arange(DURATION_S * FPS)
    frames = {
        "camera_id": ["left"] * len(every) + ["right"] * len(every),
        "frame_index": np.tile(every, 2),
        "time_us": np.tile(START_US + every * US_PER_S // 12, 2),
        "stamp_us": np.tile(START_US + every * US_PER_S // 12, 2),
    }
    with pytest.raises(DataError, match=r"camera 'left', frame \d+: the lake says .* belong to different clips"):
        evaluate(lake, write_true(tmp_path / "faster", frames=frames))
    renamed = frames | {"camera_id": ["left"] * len(every) + ["roof"] * len(every)}
    with pytest.raises(DataError, match="camera 'right' is in the lake, but the truth"):
        evaluate(lake, write_true(tmp_path / "renamed", frames=renamed))


def test_identities_as_emitted_as_revised_and_as_of_a_decision(tmp_path: Path) -> None:
    """A wrong merge, decided late, is in the revised identities alone."""
    lake, truth, context = perfect().write(tmp_path / "lake"), tmp_path / "truth", RowContext("shop", "r1", "c1")
    write_true(truth)
    nan = float("nan")
    wrong = IdentityEvent(START_US + 1, 99, "merge", "s1", 1, 2, None, None, 1.0, nan, "looks", 0.6)
    entries = Stage(lake, context, "gallery", BusinessDay("UTC", time(0))).write_records("identity_events", [wrong], 1)
    publish(lake, context, 1, entries)

    def identities(*options: str) -> float:
        words = ["evaluate", "--lake", str(lake), "--truth", str(truth), "--json", *options]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        return float(json.loads(done.stdout)["visitors"]["identities"]["value"])

    assert identities() == identities("--identities", "revised") == 3
    assert identities("--identities", "emitted") == identities("--identities", "98") == 4
    assert identities("--identities", "99") == 3
    refused = CliRunner().invoke(main, ["evaluate", "--lake", str(lake), "--truth", str(truth), "--identities", "new"])
    assert refused.exit_code == 2
    assert "give emitted, revised or the sequence number of a decision" in refused.output


def test_command_refuses_with_code_2_and_answers_in_json(tmp_path: Path) -> None:
    lake, truth = perfect().write(tmp_path / "lake"), write_true(tmp_path / "truth")
    (tmp_path / "empty").mkdir()
    damaged = write_true(tmp_path / "damaged")
    (damaged / "boxes.parquet").write_bytes(b"PAR1")
    for arguments, message in (
        ((tmp_path / "empty", truth), "the lake is empty"),
        ((tmp_path / "nowhere", truth), "no lake here"),
        ((lake, tmp_path / "nowhere"), "no truth of a simulation here"),
        ((lake, damaged), "boxes.parquet: damaged"),
        ((lake, truth, "--run", "r9"), "no rows of run 'r9'"),
    ):
        command = ["evaluate", "--lake", str(arguments[0]), "--truth", str(arguments[1]), *map(str, arguments[2:])]
        refused = CliRunner().invoke(main, command)
        assert (refused.exit_code, message in refused.output) == (2, True), refused.output
    answer = CliRunner().invoke(main, ["evaluate", "--lake", str(lake), "--truth", str(truth), "--run", "r1", "--json"])
    content = json.loads(answer.stdout)
    assert (content["format"], content["truth"]["seed"], content["runs"]) == (FORMAT, 7, ["r1"])
    assert content["doors"]["all"]["f1"] == {"value": 1.0, "n": 8, "of": "true crossings"}
    shown = CliRunner().invoke(main, ["evaluate", "--lake", str(lake), "--truth", str(truth)])
    assert shown.exit_code == 0
    assert "Door events" in shown.stdout


def test_a_turn_back_is_no_event(right: dict[str, Measure], tmp_path: Path) -> None:
    seen = perfect()
    turned = [LineCrossing("door", "left", 10, START_US + s * US_PER_S, "in", True) for s in (50, 51)]
    seen.tables["line_crossings"] += turned
    assert {n: m for n, m in measured(seen, tmp_path).items() if n.startswith("doors")} == {
        n: m for n, m in right.items() if n.startswith("doors")
    }
    assert len(WALKS) == 4
