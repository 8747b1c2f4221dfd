"""One lake of ten minutes, with every table held against the others and against the truth."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from retail_ray.cli import main
from retail_ray.config import Site
from retail_ray.config_file import load_site
from retail_ray.core.time import US_PER_MINUTE, US_PER_S
from retail_ray.lake import queries
from retail_ray.lake.dwell import zone_summary
from retail_ray.lake.interchange import FILES
from retail_ray.lake.questions import Question
from retail_ray.lake.runs import runs
from retail_ray.lake.truth import Truth, read_truth
from retail_ray.lake.views import Lake, open_lake

Rows = list[dict[str, Any]]
TEN_MINUTES = ["--hours", str(1 / 6), "--start", "2026-03-02T12:00", "--layout", "corner-shop", "--cameras", "6"]


def simulate(out: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["simulate", "events", "--out", str(out), *options])


@dataclass(frozen=True)
class Made:
    lake: Lake
    truth: Truth
    site: Site
    root: Path

    def rows(self, query: str) -> Rows:
        return self.lake.rows(query)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    out = tmp_path_factory.mktemp("events") / "store"
    result = simulate(out, *TEN_MINUTES, "--seed", "7", "--visitors", "1600")
    assert result.exit_code == 0, result.output
    return Made(open_lake(out / "lake"), read_truth(out / "truth"), load_site(out / "site.yaml"), out)


def test_the_run_is_complete_and_every_row_is_of_its_configuration(made: Made) -> None:
    (run,) = runs(made.root / "lake")
    assert (run.status, run.config_version, run.run_id) == ("complete", made.site.config_version, made.site.run_id())
    assert len(run.cameras) == len(made.site.cameras) == 6
    for table in ("detections", "tracklets", "journeys", "heat", "queue_metrics", "coverage"):
        found = made.rows(f"SELECT DISTINCT site_id, run_id, config_version, date::VARCHAR AS day FROM {table}")
        wanted = {"site_id": made.site.site, "run_id": run.run_id, "config_version": run.config_version}
        assert found == [wanted | {"day": "2026-03-02"}], table
    assert not list((made.root / "lake/_staging").rglob("*.parquet"))


def test_line_crossings_are_the_true_ones_but_for_the_declared_misses(made: Made) -> None:
    true = made.truth.tables["crossings"]
    key = ("line_id", "time_us", "direction", "turned_back")
    wanted = set(zip(*(true[name].tolist() for name in key), strict=True))
    rows = made.rows("SELECT *, epoch_us(time) AS time_us FROM line_crossings")
    found = {tuple(row[name] for name in key) for row in rows}
    assert len(found) == len(rows) > 20
    assert found <= wanted
    assert len(wanted) - len(found) == made.truth.of.scenario["missed_crossings"] < 0.1 * len(wanted)
    assert {row["camera_id"] for row in rows} == {line.camera for line in made.site.lines}


def test_occupancy_is_the_sum_of_the_crossings_and_never_below_zero(made: Made) -> None:
    rows = made.rows("SELECT *, epoch_us(time) AS minute_us FROM occupancy ORDER BY time")
    counted = made.rows("SELECT epoch_us(time) AS time_us, direction FROM line_crossings WHERE NOT turned_back")
    assert [row["minute_us"] for row in rows] == [made.truth.of.start_us + i * US_PER_MINUTE for i in range(10)]
    missing = 0
    for row in rows:
        before = [c["direction"] for c in counted if c["time_us"] < row["minute_us"] + US_PER_MINUTE]
        entries, exits = before.count("in"), before.count("out")
        missing = max(missing, exits - entries)
        assert (row["entries"], row["exits"], row["inside"]) == (entries, exits, entries - exits + missing)


def test_tracklets_sum_up_their_boxes(made: Made) -> None:
    key = "camera_id, local_id"
    boxes = made.rows(
        f"""SELECT {key}, min(time) AS first_time, max(time) AS last_time, count(*) AS frames,
            avg(confidence::DOUBLE) AS mean_confidence FROM detections WHERE local_id IS NOT NULL
        GROUP BY ALL ORDER BY ALL"""
    )
    rows = made.rows(f"SELECT {key}, first_time, last_time, frames, mean_confidence FROM tracklets ORDER BY {key}")
    assert len(rows) > 100
    for box, row in zip(boxes, rows, strict=True):
        assert row == box | {"mean_confidence": pytest.approx(box["mean_confidence"])}
    gaps = made.rows(
        f"""SELECT max(epoch_us(time) - epoch_us(before)) AS longest FROM (
            SELECT time, lag(time) OVER (PARTITION BY {key} ORDER BY time) AS before FROM detections
            WHERE local_id IS NOT NULL)"""
    )
    assert gaps[0]["longest"] <= 2 * US_PER_S
    assert min(row["frames"] for row in rows) >= 3


def test_boxes_lie_in_the_picture_and_their_feet_on_the_calibrated_floor(made: Made) -> None:
    for camera in made.site.cameras:
        assert camera.floor is not None
        data = made.lake.sql("SELECT * FROM detections WHERE camera_id = $camera", {"camera": camera.id})
        columns = {name: data[name].to_numpy(zero_copy_only=False) for name in data.column_names if name != "mask"}
        x1, y1, x2, y2 = (columns[f"{name}_px"] for name in ("x1", "y1", "x2", "y2"))
        assert (x1 >= 0).all()
        assert (x2 <= 1280).all()
        assert (y1 >= 0).all()
        assert (y2 <= 720).all()
        feet = np.stack([columns["foot_x_px"], columns["foot_y_px"]], axis=1)
        floor = np.stack([columns["floor_x_m"], columns["floor_y_m"]], axis=1).astype(np.float64)
        expected = camera.floor.calibration((720, 1280)).to_floor(feet)
        near = np.abs(expected).max(axis=1) < 50
        assert near.mean() > 0.9
        np.testing.assert_allclose(floor[near], expected[near], atol=2e-3)
        boxed = columns["foot_source"] == "box"
        np.testing.assert_array_equal(feet[boxed], np.stack([(x1 + x2) / 2, y2], axis=1)[boxed])


def test_most_people_are_seen_where_they_are(made: Made) -> None:
    positions = made.truth.tables["positions"]
    boxes = made.lake.sql(
        """SELECT epoch_us(time) AS time_us, floor_x_m AS x, floor_y_m AS y FROM detections
        WHERE local_id IS NOT NULL AND floor_x_m IS NOT NULL"""
    ).to_pydict()
    place = np.stack([boxes["x"], boxes["y"]], axis=1)
    by_time: dict[int, list[int]] = defaultdict(list)
    for i, time_us in enumerate(boxes["time_us"]):
        by_time[time_us].append(i)
    inside = (positions["y_m"] > 0.3) & (positions["time_us"] % (10 * US_PER_S) == 0)
    away_m = []
    for i in np.flatnonzero(inside):
        seen = place[by_time[int(positions["time_us"][i])]]
        here = np.array([positions["x_m"][i], positions["y_m"][i]])
        away_m.append(np.hypot(*(seen - here).T).min(initial=np.inf))
    assert len(away_m) > 100
    assert np.median(away_m) < 0.3
    assert np.mean(np.array(away_m) < 1.0) > 0.9


def test_zone_visits_lie_within_true_stays_and_their_tracklets(made: Made) -> None:
    rows = made.rows(
        """SELECT v.*, epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us,
            enter_time >= first_time AND exit_time <= last_time AS tracked
        FROM zone_visits v JOIN tracklets USING (camera_id, local_id)"""
    )
    true = made.truth.tables["zone_stays"]
    assert len(rows) == made.rows("SELECT count(*) AS n FROM zone_visits")[0]["n"] > 50
    for row in rows:
        mine = true["zone_id"] == row["zone_id"]
        around = mine & (true["enter_us"] <= row["enter_us"]) & (true["exit_us"] >= row["exit_us"])
        assert around.any()
        exact = around & (true["enter_us"] == row["enter_us"]) & (true["exit_us"] == row["exit_us"]) & ~true["censored"]
        assert row["tracked"]
        assert row["censored"] == (not exact.any())
        assert row["dwell_s"] == pytest.approx(row["observed_s"] + row["bridged_s"])
        assert row["dwell_s"] >= 5


def test_each_tracklet_has_one_identity_and_repaired_mistakes_leave_no_trace(made: Made) -> None:
    resolved = made.rows("SELECT * FROM tracklet_identity")
    tracklets = made.rows("SELECT count(*) AS n FROM tracklets")[0]["n"]
    assert len(resolved) == len({(row["camera_id"], row["local_id"]) for row in resolved}) == tracklets
    merged = {row["other_identity_id"] for row in made.rows("FROM identity_events WHERE kind = 'merge'")}
    assert not merged & {row["identity_id"] for row in resolved}
    sequence = made.rows("SELECT sequence, time FROM identity_events ORDER BY sequence")
    assert [row["sequence"] for row in sequence] == list(range(len(sequence)))
    assert [row["time"] for row in sequence] == sorted(row["time"] for row in sequence)


def test_journeys_hold_the_zone_visits_of_their_identity(made: Made) -> None:
    visits: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    for row in made.rows(
        """SELECT identity_id, zone_id, epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us
        FROM zone_visits JOIN tracklet_identity USING (run_id, camera_id, local_id)"""
    ):
        visits[row["identity_id"], row["zone_id"]].append((row["enter_us"], row["exit_us"]))
    stays: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    journeys = made.rows(
        """SELECT identity_id, epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us, duration_s,
            [{'zone': s.zone_id, 'from': epoch_us(s.enter_time), 'until': epoch_us(s.exit_time), 'dwell_s': s.dwell_s}
             FOR s IN stays] AS stays FROM journeys"""
    )
    assert len(journeys) > 20
    for journey in journeys:
        starts = [stay["from"] for stay in journey["stays"]]
        assert starts == sorted(starts)
        assert journey["duration_s"] == pytest.approx((journey["exit_us"] - journey["enter_us"]) / US_PER_S)
        for stay in journey["stays"]:
            stays[journey["identity_id"], stay["zone"]].append((stay["from"], stay["until"]))
            assert stay["dwell_s"] == pytest.approx((stay["until"] - stay["from"]) / US_PER_S)
    travellers = {journey["identity_id"] for journey in journeys}
    assert set(stays) == {key for key in visits if key[0] in travellers}
    for key, spans in stays.items():
        within = [[visit for visit in visits[key] if a <= visit[0] and visit[1] <= b] for a, b in spans]
        assert sorted(visit for parts in within for visit in parts) == sorted(visits[key])
        for (a, b), parts in zip(spans, within, strict=True):
            assert (min(part[0] for part in parts), max(part[1] for part in parts)) == (a, b)
            assert all(gap <= 10 * US_PER_S for gap in gaps(parts))


def gaps(spans: list[tuple[int, int]]) -> list[int]:
    """What lies between spans, taken together."""
    found, until = [], min(span[0] for span in spans)
    for start, end in sorted(spans):
        found.append(start - until)
        until = max(until, end)
    return found


def test_journeys_begin_and_end_at_the_door_or_say_that_they_were_cut(made: Made) -> None:
    whole = made.rows(
        """SELECT j.*, epoch_us(enter_time) AS enter_us, epoch_us(exit_time) AS exit_us FROM journeys j
        WHERE NOT censored"""
    )
    at_door = {(row["identity_id"], row["direction"], row["time_us"]) for row in made.rows(
        """SELECT identity_id, direction, epoch_us(time) AS time_us
        FROM line_crossings JOIN tracklet_identity USING (run_id, camera_id, local_id) WHERE NOT turned_back"""
    )}  # fmt: skip
    assert len(whole) > 5
    for row in whole:
        assert (row["identity_id"], "in", row["enter_us"]) in at_door
        assert (row["identity_id"], "out", row["exit_us"]) in at_door
    staff = made.rows("SELECT count(*) AS n FROM journeys WHERE staff_probability > 0.5")[0]["n"]
    assert staff == int((made.truth.tables["people"]["kind"] == "staff").sum())
    served = made.rows(
        """SELECT DISTINCT i.identity_id
        FROM queue_visits q JOIN tracklet_identity i USING (run_id, camera_id, local_id) WHERE outcome = 'served'"""
    )
    converted = made.rows("SELECT DISTINCT identity_id FROM journeys WHERE converted")
    assert sorted(r["identity_id"] for r in converted) == sorted(r["identity_id"] for r in served)


def test_queue_visits_are_true_ones_as_far_as_they_were_seen(made: Made) -> None:
    """Those who were in the lane before the data began bear its beginning as their time, several of them maybe."""
    true = made.truth.tables["queue_visits"]
    keys = zip(true["lane_id"], true["join_us"].tolist(), strict=True)
    wanted = {key: event for event, key in enumerate(keys) if key[1] > made.truth.of.start_us}
    rows = [row for row in queue_rows(made) if row["join_us"] > made.truth.of.start_us]
    assert len(wanted) >= len(rows) > 0.8 * len(wanted)
    for row in rows:
        event = wanted[row["lane_id"], row["join_us"]]
        if row["outcome"] != "censored":
            assert (row["outcome"], row["leave_us"]) == (true["outcome"][event], true["leave_us"][event])
        assert row["service_us"] in (None, true["service_us"][event])
        assert row["outcome"] != "served" or row["service_us"] is not None
        waited_until = row["leave_us"] if row["service_us"] is None else row["service_us"]
        assert row["wait_s"] == (waited_until - row["join_us"]) / US_PER_S


def queue_rows(made: Made) -> Rows:
    return made.rows(
        """SELECT *, epoch_us(join_time) AS join_us, epoch_us(service_time) AS service_us,
            epoch_us(leave_time) AS leave_us FROM queue_visits ORDER BY join_time"""
    )


def test_queue_metrics_agree_with_the_queue_visits_by_brute_force(made: Made) -> None:
    visits = queue_rows(made)
    metrics = made.rows("SELECT *, epoch_us(time) AS minute_us FROM queue_metrics ORDER BY time, lane_id")
    assert len(metrics) == 10 * len(made.site.queues)
    assert sum(row["joined"] for row in metrics) == len(visits)
    for row in metrics:
        start, end = row["minute_us"], row["minute_us"] + US_PER_MINUTE
        mine = [v for v in visits if v["lane_id"] == row["lane_id"]]
        waits = [(v["join_us"], v["leave_us"] if v["service_us"] is None else v["service_us"]) for v in mine]
        instants = [start, *(at for wait in waits for at in wait if start <= at < end)]
        assert row["queue_length_max"] == max(sum(a <= at < b for a, b in waits) for at in instants)
        waited_us = sum(max(0, min(b, end) - max(a, start)) for a, b in waits)
        assert row["queue_length_mean"] == pytest.approx(waited_us / US_PER_MINUTE)
        begun = [(v["service_us"] - v["join_us"]) / US_PER_S for v in mine if start <= (v["service_us"] or 0) < end]
        assert row["avg_wait_s"] == (pytest.approx(np.mean(begun)) if begun else None)
        reached = [(min(b, end) - a) / US_PER_S for a, b in waits if a < end and b >= start]
        assert row["max_wait_s"] == (pytest.approx(max(reached)) if reached else None)
        ended = [v["outcome"] for v in mine if start <= v["leave_us"] < end]
        assert (row["served"], row["abandoned"]) == (ended.count("served"), ended.count("abandoned"))
        assert row["service_rate_per_h"] == 60 * row["served"]


def test_heat_is_the_presence_that_the_boxes_show(made: Made) -> None:
    expected = made.rows(
        """WITH seen AS (
            SELECT time, identity_id, floor(floor_x_m / 0.5) * 0.5 AS x, floor(floor_y_m / 0.5) * 0.5 AS y,
                   0.2 / count(*) OVER (PARTITION BY time, identity_id) AS seconds
            FROM detections_identity WHERE local_id IS NOT NULL AND floor_x_m IS NOT NULL
        ) SELECT x, y, sum(seconds) AS seconds, count(DISTINCT identity_id) AS people FROM seen GROUP BY x, y"""
    )
    heat = {(row["x0_m"], row["y0_m"]): row for row in made.rows("FROM heat")}
    assert len(heat) == len(expected) > 100
    for row in expected:
        cell = heat[row["x"], row["y"]]
        assert cell["presence_s"] == pytest.approx(row["seconds"], abs=1e-5)
        assert cell["people"] == row["people"]


def test_coverage_counts_the_frames_and_no_box_is_in_a_lost_one(made: Made) -> None:
    rows = made.rows("SELECT *, epoch_us(time) AS minute_us FROM coverage")
    assert len(rows) == 60
    assert {row["expected_frames"] for row in rows} == {300}
    assert all(row["processed_frames"] + row["dropped_frames"] <= 300 for row in rows)
    assert all((row["reason"] == "behind") == (row["dropped_frames"] > 0) for row in rows)
    frames = made.rows(
        """SELECT camera_id, epoch_us(date_trunc('minute', time)) AS minute_us, count(DISTINCT frame_index) AS n
        FROM detections GROUP BY ALL"""
    )
    processed = {(row["camera_id"], row["minute_us"]): row["processed_frames"] for row in rows}
    assert all(row["n"] <= processed[row["camera_id"], row["minute_us"]] for row in frames)


def test_the_named_questions_answer_over_it(made: Made) -> None:
    of = made.truth.of
    question = Question(made.site.site, made.site.business_day, of.start_us, of.end_us)
    found = queries.stats(made.lake, question)
    footfall = queries.footfall(made.lake, question, "minute")
    assert found.crossings == footfall.total
    assert found.crossings.entries == sum(bucket.crossings.entries for bucket in footfall.buckets) > 10
    assert found.unidentified_tracklets == 0
    shoppers = int((made.truth.tables["people"]["kind"] != "passer_by").sum())
    assert found.identities >= 0.8 * shoppers
    zones = zone_summary(made.lake, question, tuple(zone.id for zone in made.site.zones))
    assert all(zone.visits > 0 for zone in zones if zone.zone_id != "staff")


def digests(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "_runs" not in path.parts  # which say how they were started
    }


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path: Path) -> None:
    short = ["--hours", "0.02", "--start", "2026-03-02T12:00", "--layout", "convenience", "--cameras", "2"]
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert simulate(tmp_path / name, *short, "--seed", seed).exit_code == 0
    one, same, other = (digests(tmp_path / name) for name in "abc")
    assert one == same
    assert any("/detections/" in name for name in one)
    assert not set(one.values()) & {other[name] for name in other if "detections" in name}


def test_decisions_are_numbered_over_all_days_so_that_each_day_can_be_counted_anew(tmp_path: Path) -> None:
    """From three minutes before closing to three minutes after opening."""
    over_night = ["--hours", "11.1", "--start", "2026-03-02T20:57", "--layout", "convenience", "--cameras", "2"]
    assert simulate(tmp_path / "store", *over_night).exit_code == 0
    with open_lake(tmp_path / "store/lake") as lake:
        decided = lake.rows("SELECT sequence, session_id FROM identity_events ORDER BY sequence")
    assert [row["sequence"] for row in decided] == list(range(len(decided)))
    assert len({row["session_id"] for row in decided}) == 2
    again = ["recount", "--site", str(tmp_path / "store/site.yaml"), "--in-process", "--json"]
    result = CliRunner().invoke(main, again)
    assert result.exit_code == 0, result.output
    assert [day["date"] for day in json.loads(result.stdout)["days"]] == ["2026-03-02", "2026-03-03"]


def test_a_closed_shop_is_covered_and_empty(tmp_path: Path) -> None:
    result = simulate(tmp_path / "night", "--hours", "0.5", "--cameras", "3", "--start", "2026-03-02T04:00")
    assert result.exit_code == 0, result.output
    with open_lake(tmp_path / "night/lake") as lake:
        assert lake.rows("SELECT count(*) AS n FROM detections") == [{"n": 0}]
        assert lake.rows("SELECT count(*) AS n, sum(expected_frames)::INT AS f FROM coverage") == [
            {"n": 90, "f": 27000}
        ]
        assert lake.rows("SELECT max(inside) AS n, count(*) AS m FROM occupancy") == [{"n": 0, "m": 30}]


def test_lake_and_interchange_files_come_from_one_command(tmp_path: Path) -> None:
    """They are those of `retail-ray export` over everything, and say as many objects as they hold."""
    short = ["--hours", "0.05", "--start", "2026-03-02T12:00", "--layout", "convenience", "--cameras", "2"]
    result = simulate(tmp_path / "day", *short, "--json", str(tmp_path / "json"))
    assert result.exit_code == 0, result.output
    exported = ["export", "--lake", str(tmp_path / "day/lake"), "--out", str(tmp_path / "again")]
    assert CliRunner().invoke(main, exported).exit_code == 0
    assert {path.name for path in (tmp_path / "json").iterdir()} == set(FILES)
    for name in FILES:
        assert (tmp_path / "json" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    found = len(json.loads((tmp_path / "json/detections.json").read_text()))
    assert found > 0
    assert f"detections.json     {found:>12,} objects" in result.output


def test_interchange_files_are_not_written_over_others(tmp_path: Path) -> None:
    """Told before a day is simulated."""
    (tmp_path / "alerts.json").write_text("mine")
    result = simulate(tmp_path / "day", *TEN_MINUTES, "--json", str(tmp_path))
    assert result.exit_code == 2
    assert "alerts.json: exists already" in result.output
    assert not (tmp_path / "day").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hours", "0"], "hours must lie above 0"),
        (["--hours", "nan"], "hours must lie above 0"),
        (["--layout", "cathedral"], "layout 'cathedral': no such layout; use superstore, "),
        (["--layout", "plans/none.yaml"], "plans/none.yaml: cannot be read"),
        (["--cameras", "0"], "1 to 64 simulated cameras, found 0"),
        (["--visitors", "0"], "at least 1 visitor"),
        (["--start", "soon"], "--start 'soon' is no ISO date and time"),
        (["--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_written(
    tmp_path: Path, options: list[str], message: str
) -> None:
    result = simulate(tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    result = simulate(tmp_path, *TEN_MINUTES)
    assert result.exit_code == 2
    assert "not an empty folder" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
