"""Identities of tracklets as of any decision, against a replay of the decisions one after the other."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import QueryError
from retail_ray.core.records import IdentityEvent
from retail_ray.core.retail_records import Journey, JourneyStay
from retail_ray.core.time import BusinessDay
from retail_ray.lake.codecs import Record, RowContext
from retail_ray.lake.epochs import Stage, publish
from retail_ray.lake.identity_views import identities_as_of
from retail_ray.lake.sql_guard import user_sql
from retail_ray.lake.views import Lake, open_lake

DAY = BusinessDay("UTC", time(0))
DAY_US = 86_400_000_000
NAN = float("nan")
OLD = Path(__file__).parent / "version_1"
Key = tuple[str, int]
"""(run_id, local_id)."""


def fill(root: Path, table: str, rows: list[Record], epoch: int = 0, run_id: str = "r1") -> None:
    context = RowContext("shop-1", run_id, "c1")
    publish(root, context, epoch, Stage(root, context, "site", DAY).write_records(table, rows, epoch))


def resolve(run_id: str, events: list[IdentityEvent]) -> dict[Key, tuple[str, int]]:
    """Session and identity of each tracklet, by changing them decision by decision."""
    current: dict[tuple[str, int], int] = {}
    newest: dict[int, str] = {}
    for event in events:
        if event.kind == "merge":
            for key, identity in current.items():
                if key[0] == event.session_id and identity == event.other_identity_id:
                    current[key] = event.identity_id or 0
                    newest[key[1]] = event.session_id
        elif event.local_id is not None:
            current[event.session_id, event.local_id] = event.identity_id or 0
            newest[event.local_id] = event.session_id
    return {(run_id, local): (session, current[session, local]) for local, session in newest.items()}


def emitted(run_id: str, events: list[IdentityEvent]) -> dict[Key, tuple[str, int]]:
    """The first create or assign of each tracklet in the last session that has one."""
    found: dict[Key, tuple[str, int]] = {}
    for event in events:
        if event.kind in ("create", "assign") and event.local_id is not None:
            known = found.get((run_id, event.local_id))
            if known is None or known[0] != event.session_id:
                found[run_id, event.local_id] = event.session_id, event.identity_id or 0
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[IdentityEvent]:
    """Chains of merges, splits to new and known identities, before and behind merges; sessions one after the other."""
    events = []
    session = 1
    for sequence in range(draw(st.integers(1, 16))):
        kind = draw(st.sampled_from(["create", "assign", "assign", "merge", "merge", "split", "session"]))
        session += kind == "session"
        identity = draw(st.integers(1, 4))
        other = draw(st.integers(1, 4).filter(lambda o, i=identity: o != i)) if kind in ("merge", "split") else None
        tracklet = draw(st.integers(1, 5)) if kind in ("create", "assign", "split") else None
        camera = "door" if tracklet is not None else None
        events.append(
            IdentityEvent(sequence, sequence, kind, f"s{session}", identity, other, camera, tracklet, NAN, NAN, "test")  # type: ignore[arg-type]
        )
    return events


def read(lake: Lake, relation: str) -> dict[Key, tuple[str, int]]:
    rows = lake.rows(f"SELECT run_id, local_id, session_id, identity_id FROM {relation}")
    found = {(row["run_id"], row["local_id"]): (row["session_id"], row["identity_id"]) for row in rows}
    assert len(found) == len(rows)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=histories(), second=histories(), cut=st.integers(0, 14), version=st.integers(-1, 16))
def test_identities_resolve_like_a_replay(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[IdentityEvent],
    second: list[IdentityEvent],
    cut: int,
    version: int,
) -> None:
    root = tmp_path_factory.mktemp("lake")
    for epoch, part in enumerate([first[:cut], first[cut:]]):
        if part:
            fill(root, "identity_events", list(part), epoch)
    fill(root, "identity_events", list(second), run_id="r2")
    with open_lake(root) as lake:
        assert read(lake, identities_as_of("revised")) == resolve("r1", first) | resolve("r2", second)
        assert read(lake, identities_as_of("emitted")) == emitted("r1", first) | emitted("r2", second)
        then = resolve("r1", first[: version + 1]) | resolve("r2", second[: version + 1])
        if version >= 0:
            assert read(lake, identities_as_of(version)) == then
        instant = f"make_timestamptz({version})"
        assert read(lake, f"tracklet_identity_at_time({instant})") == then  # event time here is the sequence


def test_a_correction_is_seen_from_its_version_on(tmp_path: Path) -> None:
    events: list[Record] = [
        IdentityEvent(0, 0, "create", "s1", 1, None, "door", 1, NAN, NAN, ""),
        IdentityEvent(10, 1, "create", "s1", 2, None, "till", 1, NAN, NAN, ""),
        IdentityEvent(20, 2, "merge", "s1", 1, 2, None, None, 3.0, 1.0, "", 0.9),
        IdentityEvent(30, 3, "split", "s1", 2, 1, "till", 1, 2.0, 1.0, "", 0.8),
    ]
    fill(tmp_path, "identity_events", events)
    question = "SELECT identity_id FROM tracklet_identity_at({}) WHERE camera_id = 'till'"
    for version, identity in ((0, []), (1, [(2,)]), (2, [(1,)]), (3, [(2,)]), (99, [(2,)])):
        assert user_sql(tmp_path, question.format(version)).rows == identity
    asked = user_sql(tmp_path, "FROM tracklet_identity_at_time(TIMESTAMPTZ '1970-01-01 00:00:00.000025+00')").rows
    assert sorted(row[3] for row in asked) == [1, 1]
    with pytest.raises(QueryError):
        user_sql(tmp_path, "FROM tracklet_identity_at()")


def journey(identity: int, enter_us: int, version: int, *, withdrawn: bool = False, number: int = 1) -> Journey:
    name = f"s1-{identity}-{number}"
    stays = () if withdrawn else (JourneyStay("bread", enter_us, enter_us + 5),)
    return Journey(
        name, "s1", identity, enter_us, enter_us + 10, False, stays, 0.9, None, None, None, NAN, version, withdrawn
    )


def test_of_an_identitys_journeys_the_newest_version_holds(tmp_path: Path) -> None:
    """Identity 1 gets another entry and a second visit; 2 is absorbed; 3 moves to another day; 4 stays as it was."""
    fill(tmp_path, "journeys", [journey(n, 100, 7) for n in (1, 2, 3, 4)], 7)
    changed: list[Record] = [
        journey(1, 50, 9),
        journey(1, 500, 9, number=2),
        journey(2, 100, 9, withdrawn=True),
        journey(3, 100, 9, withdrawn=True),
        journey(3, DAY_US + 5, 9),
    ]
    fill(tmp_path, "journeys", changed, 9)
    with open_lake(tmp_path) as lake:
        found = lake.rows("SELECT journey_id, epoch_us(enter_time) AS enter_us FROM journeys ORDER BY ALL")
        assert [tuple(row.values()) for row in found] == [
            ("s1-1-1", 50), ("s1-1-2", 500), ("s1-3-1", DAY_US + 5), ("s1-4-1", 100),
        ]  # fmt: skip
        assert lake.rows("SELECT count(*) AS n FROM journey_versions") == [{"n": 9}]
        plan = lake.rows("EXPLAIN SELECT * FROM journeys WHERE date = DATE '1970-01-02'")[0]["explain_value"]
        assert "Scanning Files: 1/3" in plan  # the newest of a day is found without the other days


def test_a_lake_of_schema_version_1_is_read(tmp_path: Path) -> None:
    """Files written by the program before p_same and versions of journeys, alone and beside new ones."""
    for table in ("identity_events", "journeys"):
        place = tmp_path / table / "date=1970-01-01" / "site=shop-1" / "site-r1-000000.parquet"
        place.parent.mkdir(parents=True)
        shutil.copy(OLD / f"{table}.parquet", place)
    with open_lake(tmp_path) as lake:
        events = lake.rows("SELECT sequence, score, p_same FROM identity_events ORDER BY sequence")
        assert [tuple(row.values()) for row in events] == [(0, None, None), (1, 0.91, None)]
        assert read(lake, "tracklet_identity") == {("r1", 1): ("s1", 1), ("r1", 2): ("s1", 1)}
        (old,) = lake.rows("SELECT journey_id, p_same, version FROM journeys")
        assert old == {"journey_id": "s1-1-1", "p_same": 0.9, "version": None}
        late = IdentityEvent(DAY_US, 0, "create", "s1", 1, None, "door", 1, NAN, NAN, "", 0.75)
        fill(tmp_path, "identity_events", [late], run_id="r2")
        fill(tmp_path, "journeys", [journey(5, DAY_US, 3)], 3, run_id="r2")
        assert lake.rows("SELECT count(*) AS n, count(p_same) AS known FROM identity_events") == [{"n": 3, "known": 1}]
        assert lake.rows("SELECT count(*) AS n, max(enter_time) AS at FROM journeys") == [
            {"n": 2, "at": datetime(1970, 1, 2, tzinfo=UTC)}
        ]
