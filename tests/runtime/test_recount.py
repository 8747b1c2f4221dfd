"""Recounts: the same as live where nothing changed, other numbers where something did, and never both at once."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.cli import main
from retail_ray.config import Site
from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.lake import deletion_target
from retail_ray.lake.check import check
from retail_ray.lake.compaction import compact
from retail_ray.lake.deletion import delete
from retail_ray.lake.partitions import empty_aside
from retail_ray.lake.recounts import activate, drop, job_of, read_recounts
from retail_ray.lake.replacements import maintenance
from retail_ray.lake.runs import runs, supersede
from retail_ray.lake.views import open_lake
from retail_ray.runtime import recount_day
from retail_ray.runtime.recount import recount
from retail_ray.runtime.recount_day import Replay
from tests.runtime.recounting import TABLES, people, rows, run, store
from tests.support.scenes import S

SECONDS = 600
DAYS = (date(2026, 3, 1), date(2026, 3, 2))
"""The business day begins 5 minutes after the run, with people in the shop."""


def relabelled(site: Site) -> Site:
    """Another config version that counts the same."""
    return site.model_copy(update={"tracker": site.tracker.model_copy(update={"name": "bytetrack"})})


def moved(site: Site, by_m: float) -> Site:
    zones = [zone.model_copy(update={"m": [(x + by_m, y) for x, y in zone.m or []]}) for zone in site.zones]
    return site.model_copy(update={"zones": zones})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = store(tmp_path_factory.mktemp("shop"))
    run(site, people(1, SECONDS), SECONDS)
    return site


@pytest.fixture
def site(shop: Site, tmp_path: Path) -> Site:
    shutil.copytree(shop.lake, tmp_path / "lake")
    return shop.model_copy(update={"lake": str(tmp_path / "lake")})


def contents(lake: str) -> dict[str, bytes]:
    return {str(p.relative_to(lake)): p.read_bytes() for p in sorted(Path(lake).rglob("*.parquet"))}


def answers(site: Site) -> dict[str, list[str]]:
    """What every question sees."""
    with open_lake(Path(site.lake)) as lake:
        return {
            table: sorted(json.dumps(row, default=str) for row in lake.sql(f"FROM {table}").to_pylist())
            for table in TABLES
        }


def versions(seen: dict[str, list[str]]) -> set[str]:
    return {json.loads(row)["config_version"] for row in seen["zone_visits"]}


def test_a_recount_gives_the_rows_of_the_run(site: Site) -> None:
    own, again = site.config_version, relabelled(site)
    live = {table: rows(Path(site.lake), table, own) for table in TABLES}
    result = recount(again, activated=True)
    counted = {table: rows(Path(site.lake), table, again.config_version) for table in TABLES}
    assert {table: len(found) for table, found in live.items()} == {table: len(f) for table, f in counted.items()}
    assert counted == live
    assert min(map(len, live.values())) > 5
    assert [day.date for day in result.days] == list(DAYS)
    assert all(change["difference"] in (0, None) for change in result.as_json()["changes"])


def test_the_runs_own_site_file_is_compared_and_not_written(site: Site) -> None:
    before = contents(site.lake)
    result = recount(site)
    assert not result.written
    assert {change["difference"] for change in result.as_json()["changes"]} == {0}
    assert contents(site.lake) == before
    assert not (Path(site.lake) / "_recounts").exists()


def test_a_zone_moved_away_gives_other_numbers(site: Site) -> None:
    away = recount(moved(site, 100.0))
    changed = {(c["kind"], c["measure"]): c for c in away.as_json()["changes"]}
    assert changed["zone", "stays"]["old"] > 0
    assert changed["zone", "stays"]["new"] == 0
    assert changed["line", "entries"]["difference"] == 0
    assert "zone 'bread' lies outside all floor points" in " ".join(away.notes)
    partly = {c["measure"]: c for c in recount(moved(site, 4.0)).as_json()["changes"] if c["kind"] == "zone"}
    assert 0 < partly["stays"]["new"] != partly["stays"]["old"]


def test_answers_see_one_version_at_a_time(site: Site) -> None:
    before, other = answers(site), moved(site, 4.0)
    recount(other)
    assert answers(site) == before
    activate(Path(site.lake), site.site, other.config_version)
    after = answers(site)
    assert after["zone_visits"] != before["zone_visits"]
    assert versions(after) == {other.config_version}
    with open_lake(Path(site.lake)) as lake:
        stored = lake.rows("SELECT DISTINCT config_version FROM zone_visits_all")
    assert {row["config_version"] for row in stored} == {site.config_version, other.config_version}
    activate(Path(site.lake), site.site, site.config_version, [(runs(Path(site.lake))[0].run_id, f"{DAYS[0]}")])
    assert versions(answers(site)) == {site.config_version, other.config_version}
    drop(Path(site.lake), site.site, other.config_version)
    assert answers(site) == before


def test_an_open_lake_learns_of_a_new_version(site: Site) -> None:
    other = moved(site, 4.0)
    with open_lake(Path(site.lake)) as lake:
        before = lake.rows("SELECT * FROM zone_visits ORDER BY ALL")
        recount(other)
        assert lake.rows("SELECT * FROM zone_visits ORDER BY ALL") == before
        activate(Path(site.lake), site.site, other.config_version)
        after = lake.rows("SELECT * FROM zone_visits ORDER BY ALL")
    assert after != before
    assert {row["config_version"] for row in after} == {other.config_version}


def test_counting_again_gives_the_same_bytes(site: Site) -> None:
    other = moved(site, 4.0)
    recount(other, activated=True)
    once, seen = contents(site.lake), answers(site)
    recount(other, activated=True)
    assert contents(site.lake) == once
    assert answers(site) == seen


@pytest.mark.parametrize("broken_at", [0, 3])
def test_a_crash_leaves_the_former_version_in_force(
    site: Site, broken_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends before or behind the publication of a day, the rest is found as it was."""
    before, other, calls = answers(site), moved(site, 4.0), 0
    publish = recount_day.publish

    def cut(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == broken_at // 2 + 1:
            if broken_at % 2:
                publish(*arguments)
            raise KeyboardInterrupt
        return publish(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(recount_day, "publish", cut)
        with pytest.raises(KeyboardInterrupt):
            recount(other, activated=True)
    assert answers(site) == before
    recount(other, activated=True)
    undisturbed = site.model_copy(update={"lake": str(Path(site.lake).parent / "undisturbed")})
    shutil.copytree(site.lake, undisturbed.lake)
    drop(Path(undisturbed.lake), site.site, other.config_version)
    recount(other.model_copy(update={"lake": undisturbed.lake}), activated=True)
    assert contents(site.lake) == contents(undisturbed.lake)


def test_a_replaced_run_takes_its_recounts_along(site: Site) -> None:
    other = moved(site, 4.0)
    recount(other, activated=True)
    (known,) = runs(Path(site.lake))
    supersede(Path(site.lake), known.run_id, by="next")
    assert read_recounts(Path(site.lake), site.site).days == {}
    assert not list(Path(site.lake).glob("zone_visits/**/*.parquet"))


@given(slice_s=st.integers(7, SECONDS))
@settings(max_examples=2, deadline=None)
def test_any_split_of_the_reading_gives_the_same_rows(shop: Site, slice_s: int) -> None:
    task = _tasks(shop)[0]
    assert Replay(task, slice_s * S).rows() == Replay(task).rows()


def _tasks(site: Site) -> list[recount_day.DayTask]:
    (known,) = runs(Path(site.lake))
    assert known.finished_us is not None
    return [
        recount_day.DayTask(site, known, on, known.config_version, known.finished_us, (), write=False) for on in DAYS
    ]


def test_one_day_at_a_time_gives_what_all_days_give(site: Site) -> None:
    other = moved(site, 2.0)
    recount(other, activated=True)
    whole = contents(site.lake)
    drop(Path(site.lake), site.site, other.config_version)
    for on in reversed(DAYS):
        recount(other, on, on, activated=True)
    assert contents(site.lake) == whole


def test_another_calibration_moves_the_floor_points(site: Site) -> None:
    """Pixels are 100 × metres; a camera whose pixels are 50 × metres sees everybody twice as far away."""
    camera = site.camera("hall")
    assert camera.floor is not None
    assert camera.floor.points is not None
    points = [pair.model_copy(update={"m": (2 * pair.m[0], 2 * pair.m[1])}) for pair in camera.floor.points]
    floor = camera.floor.model_copy(update={"points": points})
    cameras = [site.camera("door"), camera.model_copy(update={"floor": floor})]
    result = recount(site.model_copy(update={"cameras": cameras}))
    assert "camera 'hall': another calibration" in " ".join(result.notes)
    assert result.days[1].floor_m is not None
    assert result.days[1].floor_m[3] > 14
    stays = {c["measure"]: c for c in result.as_json()["changes"] if c["kind"] == "zone"}["stays"]
    assert stays["new"] != stays["old"]


def test_days_whose_detections_are_gone_are_named(site: Site) -> None:
    shutil.rmtree(Path(site.lake) / "detections" / f"date={DAYS[0]}")
    result = recount(moved(site, 4.0))
    assert [day.date for day in result.days] == [DAYS[1]]
    told = " ".join(result.notes)
    assert f"{DAYS[0]}: the detections of run" in told
    assert "stays that began before the business day are cut" in told
    shutil.rmtree(Path(site.lake) / "detections")
    with pytest.raises(LakeError, match="were deleted"):
        recount(moved(site, 4.0))


def test_what_cannot_be_counted_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run of site 'other' is in this lake, it has 'shop'"):
        recount(site.model_copy(update={"site": "other"}))
    with pytest.raises(LakeError, match="no lake here"):
        recount(site.model_copy(update={"lake": str(tmp_path / "nowhere")}))
    with pytest.raises(ConfigError, match="timezone: 'Europe/Rome' differs from 'UTC'"):
        recount(site.model_copy(update={"timezone": "Europe/Rome"}))
    with pytest.raises(ConfigError, match="lies behind"):
        recount(site, DAYS[1], DAYS[0])
    with pytest.raises(LakeError, match="no run has data on these days"):
        recount(site, date(2020, 1, 1), date(2020, 1, 2))
    with pytest.raises(LakeError, match="version 'nine' was not counted"):
        activate(Path(site.lake), site.site, "nine")
    damaged = next(Path(site.lake).glob("detections/**/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-7])
    with pytest.raises(LakeError, match=damaged.name):
        recount(site)


def test_settings_and_cameras_that_do_not_fit_are_told(site: Site) -> None:
    door, hall = site.cameras
    cameras = [door, hall.model_copy(update={"id": "yard"})]
    told = " ".join(recount(relabelled(site).model_copy(update={"cameras": cameras})).notes)
    assert "camera 'yard': no data of it in run" in told
    assert "camera 'hall': not in the site file" in told
    assert "tracker: changed, but what the cameras saw is stored" in told


def test_the_command_counts_lists_activates_and_drops(site: Site, tmp_path: Path) -> None:
    changed = moved(site, 4.0)
    path = tmp_path / "changed.yaml"
    path.write_text(json.dumps(changed.model_dump(mode="json", exclude_none=True)))
    command = ["recount", "--site", str(path), "--in-process", "--json", "--from", f"{DAYS[1]}"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["written"], found["in_force"], len(found["days"])) == (True, False, 1)
    assert found["coverage"]["share"] is not None
    for words, expected in (
        (["list"], f"{changed.config_version}"),
        (["activate"], "is in force; it was not before on 1 days"),
        (["list"], f"{changed.config_version} (in force)"),
        (["drop", changed.config_version], "dropped from 1 days"),
    ):
        told = CliRunner().invoke(main, ["recount", words[0], "--site", str(path), *words[1:]])
        assert told.exit_code == 0, told.output
        assert expected in told.stdout
    again = CliRunner().invoke(main, ["recount", "drop", "--site", str(path), changed.config_version])
    assert again.exit_code == 2
    assert "no counted day has version" in again.stderr
    table = CliRunner().invoke(main, ["recount", "--site", str(path), "--in-process", "--activate"])
    assert "In force: answers see these numbers now." in table.stdout


def test_jobs_of_a_run_carry_its_name() -> None:
    names = {job_of("r1", "2026-03-02", "a"), job_of("r1", "2026-03-03", "a"), job_of("r1", "2026-03-02", "b")}
    assert len(names) == 3
    assert all(name.startswith("r1.c") for name in names)


def test_a_visit_is_deleted_from_every_version_and_a_merged_lake_is_sound(site: Site) -> None:
    """Versions that are not in force hold the same people."""
    root, other = Path(site.lake), moved(site, 4.0)
    recount(other)
    with open_lake(root) as lake:
        (who,) = lake.rows(
            "SELECT session_id, identity_id FROM journeys_all GROUP BY ALL ORDER BY count(*) DESC, 1, 2 LIMIT 1"
        )
        target = deletion_target.visit(lake, who["session_id"], who["identity_id"])
        keys = lake.rows(
            """SELECT camera_id, local_id FROM tracklet_identity
            WHERE session_id = $session_id AND identity_id = $identity_id""",
            who,
        )
    everywhere = "SELECT count(*) AS n FROM {table} WHERE camera_id = $camera_id AND local_id = $local_id"
    with maintenance(root):
        compact(root)
        delete(root, target, 0)
        empty_aside(root)
        assert check(root).faults == []
    with open_lake(root) as lake:
        for table in ("detections", "tracklets", "zone_visits_all", "line_crossings_all"):
            assert sum(lake.rows(everywhere.format(table=table), key)[0]["n"] for key in keys) == 0, table
            assert lake.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] > 0
        left = lake.rows("SELECT DISTINCT config_version FROM zone_visits_all")
        assert len(left) == 2
        journeys = lake.rows(
            "SELECT count(*) AS n FROM journeys_all WHERE session_id = $session_id AND identity_id = $identity_id", who
        )
    assert journeys[0]["n"] == 0
