"""Sales into a simulated lake: joined with the visits that truly were served, whatever the till's clock says."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from retail_ray.cli import main
from retail_ray.config_file import load_site
from retail_ray.lake.metric_answers import ask
from retail_ray.lake.questions import Question
from retail_ray.lake.runs import runs
from retail_ray.lake.views import open_lake
from retail_ray.runtime.live_runs import close_crashed_runs

Row = dict[str, Any]


@pytest.fixture
def shop(simulated: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to."""
    shutil.copytree(simulated, tmp_path / "shop")
    return tmp_path / "shop"


def asked(shop: Path, query: str) -> list[Row]:
    with open_lake(shop / "lake") as lake:
        return lake.rows(query)


def served(shop: Path) -> list[Row]:
    return asked(
        shop,
        "SELECT *, epoch_us(leave_time) AS leave_us FROM queue_visits WHERE outcome = 'served' ORDER BY leave_time",
    )


def sales_of(rows: list[Row], offset_s: float, kept: float = 0.8, seed: int = 1) -> dict[str, Row]:
    """Transaction id -> the stay that it truly belongs to."""
    rng = np.random.default_rng(seed)
    return {
        f"t{number}": row | {"till_us": row["leave_us"] + round((offset_s - rng.uniform(2, 10)) * 1e6)}
        for number, row in enumerate(rows)
        if rng.random() < kept
    }


def write_csv(path: Path, sales: dict[str, Row], extra: str = "") -> Path:
    lines = [
        f"{datetime.fromtimestamp(row['till_us'] / 1e6, UTC).isoformat()},{row['lane_id']},{name},9.99,EUR\n"
        for name, row in sales.items()
    ]
    path.write_text("time,lane,transaction_id,amount,currency\n" + "".join(lines) + extra)
    return path


def run(shop: Path, *words: str | Path) -> Any:
    command, *rest = words
    result = CliRunner().invoke(
        main, ["pos", str(command), "--site", str(shop / "site.yaml"), "--json", *map(str, rest)]
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("offset_s", [-420, 45, 420])
def test_each_sale_finds_the_visit_that_paid(shop: Path, tmp_path: Path, offset_s: int) -> None:
    truth = sales_of(served(shop), offset_s)
    done = run(shop, "import", write_csv(tmp_path / "sales.csv", truth))
    assert (done["imported"], done["known"], done["doubled"], done["broken"]) == (len(truth), 0, [], [])
    (clock,) = done["clocks"]
    assert clock["offset_s"] == pytest.approx(offset_s - 6, abs=2)
    assert clock["uncertainty_s"] < 1
    rows = asked(shop, "SELECT *, epoch_us(time) AS time_us, epoch_us(till_time) AS till_us FROM conversions")
    right = [row["join_time"] == truth[row["transaction_id"]]["join_time"] for row in rows]
    assert len(rows) == len(truth) > 40
    assert np.mean(right) > 0.95
    for row in rows:
        assert row["till_us"] == truth[row["transaction_id"]]["till_us"]
        assert row["time_us"] == pytest.approx(row["till_us"] - row["offset_s"] * 1e6, abs=1)


def test_visits_say_whether_they_bought_and_what_tells_it(shop: Path, tmp_path: Path) -> None:
    """Before the import: served. After it: those with a transaction, on that day."""
    inferred = asked(shop, "SELECT * FROM journey_conversions")
    stored = asked(shop, "SELECT journey_id, converted FROM journeys")
    assert {row["journey_id"]: row["converted"] for row in inferred} == {
        r["journey_id"]: r["converted"] for r in stored
    }
    assert {row["conversion_source"] for row in inferred} == {"zone_inferred"}
    truth = sales_of(served(shop), 100)
    run(shop, "import", write_csv(tmp_path / "sales.csv", truth))
    told = asked(shop, "SELECT * FROM journey_conversions")
    assert {row["conversion_source"] for row in told} == {"pos"}
    assert len(told) == len(inferred)
    paid = {row["journey_id"]: row["transactions"] for row in told if row["converted"]}
    assert sum(paid.values()) == pytest.approx(len(truth), abs=2)
    assert set(paid) <= {row["journey_id"] for row in inferred if row["converted"]}


def test_without_a_word_in_the_visit_being_served_tells(shop: Path) -> None:
    """Visits as a live run writes them: converted is NULL, the lanes say who was served."""
    truth = {row["journey_id"]: row["converted"] for row in asked(shop, "SELECT * FROM journeys")}
    with open_lake(shop / "lake") as lake:
        view = lake.rows("SELECT sql FROM duckdb_views() WHERE view_name = 'journey_conversions'")[0]["sql"]
        query = view.partition(" AS ")[2].rstrip(";").replace("j.converted", "NULL::BOOLEAN")
        rows = lake.rows(query)
    assert {row["conversion_source"] for row in rows} == {"zone_inferred"}
    agree = [row["converted"] == truth[row["journey_id"]] for row in rows]
    assert np.mean(agree) > 0.97


def test_the_metric_counts_transactions_by_visits_and_those_without_one(shop: Path, tmp_path: Path) -> None:
    truth = sales_of(served(shop), -30)
    lost = "".join(f"2026-03-02T12:{minute}:00+01:00,,x{minute},5,EUR\n" for minute in ("01", "02"))
    run(shop, "import", write_csv(tmp_path / "sales.csv", truth, lost))
    site = load_site(shop / "site.yaml")
    day = site.business_day
    start_us = day.start_us(datetime(2026, 3, 2).date())
    with open_lake(shop / "lake") as lake:
        question = Question(site.site, day, start_us, start_us + 24 * 3600 * 1_000_000)
        (row,) = ask(lake, question, "conversion")
        visits = lake.rows("SELECT count(*) AS n FROM journeys")[0]["n"]
        staff = lake.rows("SELECT count(*) AS n FROM journeys WHERE staff_probability >= 0.5")[0]["n"]
        (fewer,) = ask(lake, question, "conversion", staff="exclude")
        hours = ask(lake, question, "conversion", by=["hour"])
    found = row.values
    assert row.group == {"conversion_source": "pos"}
    assert (found["visits"], found["transactions"]) == (visits, len(truth) + 2)
    assert found["conversion"] == (len(truth) + 2) / visits
    assert 0 <= (found["without_visit"] or 0) <= 3
    assert fewer.values["visits"] == visits - staff
    assert sum(hour.values["transactions"] or 0 for hour in hours) == len(truth) + 2


def test_importing_again_changes_nothing_and_more_sales_make_a_new_version(shop: Path, tmp_path: Path) -> None:
    truth = sales_of(served(shop), 30, kept=1.0)
    names = list(truth)
    half = write_csv(tmp_path / "half.csv", {name: truth[name] for name in names[::2]})
    whole = write_csv(tmp_path / "whole.csv", truth)
    assert run(shop, "import", half)["imported"] == len(names[::2])
    before = sorted((shop / "lake").rglob("*.parquet"))
    again = run(shop, "import", half)
    assert (again["imported"], again["known"], again["clocks"]) == (0, len(names[::2]), [])
    assert sorted((shop / "lake").rglob("*.parquet")) == before
    rest = run(shop, "import", whole)
    assert (rest["imported"], rest["known"]) == (len(names[1::2]), len(names[::2]))
    assert rest["joined"] >= len(names) - 2
    assert asked(shop, "SELECT DISTINCT version FROM conversions") == [{"version": 2}]
    assert len(asked(shop, "SELECT * FROM conversions")) == len(asked(shop, "SELECT * FROM transactions")) == len(names)
    assert len(asked(shop, "SELECT * FROM conversion_versions")) == len(names) + len(names[::2])
    run(shop, "join", "--from", "2026-03-02")
    assert asked(shop, "SELECT DISTINCT version FROM conversions") == [{"version": 3}]


def test_doubled_ids_and_broken_rows_are_told_by_line(shop: Path, tmp_path: Path) -> None:
    truth = sales_of(served(shop), 0)
    name, row = next(iter(truth.items()))
    extra = f"2026-03-02T13:00:00+01:00,{row['lane_id']},{name},1.00,EUR\nnoon,,u,1,EUR\n"
    done = run(shop, "import", write_csv(tmp_path / "sales.csv", truth, extra))
    assert [one["line"] for one in done["doubled"]] == [len(truth) + 2]
    assert "with another time or amount; ignored" in done["doubled"][0]["why"]
    assert [one["line"] for one in done["broken"]] == [len(truth) + 3]
    assert done["imported"] == len(truth)
    (kept,) = asked(shop, f"SELECT amount FROM transactions WHERE transaction_id = '{name}'")
    assert kept["amount"] == 9.99


def test_a_wrong_clock_is_refused_and_the_visits_stay_inferred(shop: Path, tmp_path: Path) -> None:
    truth = sales_of(served(shop), -3600)
    done = run(shop, "import", write_csv(tmp_path / "sales.csv", truth))
    (clock,) = done["clocks"]
    assert (done["imported"], done["joined"], clock["offset_s"]) == (len(truth), 0, None)
    assert "check the timezone" in clock["why"]
    assert {row["conversion_source"] for row in asked(shop, "SELECT * FROM journey_conversions")} == {"zone_inferred"}
    joined = run(shop, "join", "--max-offset-s", "4000")
    assert joined[0]["joined"] > 0.9 * len(truth)
    assert {row["conversion_source"] for row in asked(shop, "SELECT * FROM journey_conversions")} == {"pos"}


def test_an_import_that_was_cut_off_anywhere_can_be_done_again(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes at the first, second, … file that gets its name; a live run that begins then is not misled."""
    truth = sales_of(served(shop), 10)
    sales, site = write_csv(tmp_path / "sales.csv", truth), load_site(shop / "site.yaml")
    words = ["pos", "import", "--json", "--site", str(shop / "site.yaml"), str(sales)]
    rename = Path.rename
    # Of the record of the run, its first file, its second one, and the commit.
    for before in (0, 1, 1, 2):
        left = before

        def cut_off(path: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", cut_off)
            assert CliRunner().invoke(main, words).exit_code != 0
        assert close_crashed_runs(shop / "lake", site, 1 << 50) == []
    result = CliRunner().invoke(main, words)
    assert json.loads(result.stdout)["imported"] == len(truth)
    for table in ("transactions", "conversion_versions"):
        assert len(asked(shop, f"SELECT * FROM {table}")) == len(truth)
    assert {one.status for one in runs(shop / "lake")} == {"complete"}
    assert not list((shop / "lake/_staging").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "none.csv"], "none.csv: cannot be read"),
        (["import", "none.csv", "--till", "Till 1=lane-7"], "write NAME=LANE with a lane of lane-1"),
        (["import", "none.csv", "--timezone", "Rome"], "no IANA timezone"),
        (["import", "none.csv", "--delimiter", "::"], "give one character"),
        (["join"], "no transactions of site 'shop'"),
        (["join", "--from", "march"], "is no day"),
    ],
)
def test_refused(simulated: Path, words: list[str], message: str) -> None:
    command, *rest = words
    result = CliRunner().invoke(main, ["pos", command, "--site", str(simulated / "site.yaml"), *rest])
    assert result.exit_code == 2
    assert message in result.stderr
