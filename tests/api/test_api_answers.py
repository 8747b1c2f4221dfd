from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from retail_ray.api.app import create_app
from retail_ray.api.site import LiveSnapshot, SiteInfo
from retail_ray.core.errors import StuckError

DAY = "from=2026-03-01&to=2026-03-01"
PROBLEM = "application/problem+json"


def get(client: TestClient, path: str, status: int = 200) -> Any:
    response = client.get(path)
    assert response.status_code == status, response.text
    return response.json()


def test_stats(client: TestClient) -> None:
    found = get(client, f"/v1/stats?{DAY}")
    numbers = {
        name: found[name] for name in ("entries", "exits", "turned_back", "tracklets", "identities", "zone_visits")
    }
    assert numbers == {"entries": 3, "exits": 1, "turned_back": 1, "tracklets": 5, "identities": 3, "zone_visits": 3}
    assert (found["from"], found["to"]) == ("2026-03-01T06:00:00+05:30", "2026-03-02T06:00:00+05:30")
    assert found["occupancy"] == {"time": "2026-03-01T11:02:00+05:30", "entries": 3, "exits": 1, "inside": 2}
    assert found["live"] is None
    assert found["coverage"]["share"] == 1.0
    assert found["coverage"]["interval_share"] == pytest.approx(120 / 2880)
    assert get(client, "/v1/stats") == found  # the newest day on record


def test_intervals_are_the_sites_own(client: TestClient) -> None:
    def entries(query: str) -> tuple[int, str, str]:
        found = get(client, f"/v1/stats?{query}")
        return found["entries"], found["from"][:16], found["to"][:16]

    hour = (2, "2026-03-01T10:00", "2026-03-01T11:00")
    assert entries("from=2026-03-01T10:00&to=2026-03-01T11:00") == hour
    assert entries("from=2026-03-01T10:00:00%2B05:30&to=2026-03-01T05:30:00Z") == hour
    assert entries("from=2026-03-01T04:30:00Z&to=2026-03-01T11:00") == hour
    assert entries("from=2026-03-01T11:00") == (1, "2026-03-01T11:00", "2026-03-02T06:00")
    assert entries("to=2026-03-01T10:01") == (1, "2026-03-01T06:00", "2026-03-01T10:01")
    assert entries("from=2026-02-28&to=2026-03-01") == (3, "2026-02-28T06:00", "2026-03-02T06:00")
    assert entries("from=2026-02-28&to=2026-02-28") == (0, "2026-02-28T06:00", "2026-03-01T06:00")


def test_footfall(client: TestClient) -> None:
    found = get(client, f"/v1/footfall?{DAY}&by=hour")
    assert len(found["buckets"]) == 24
    busy = [(b["from"][11:16], b["entries"], b["exits"], b["interval_share"]) for b in found["buckets"] if b["entries"]]
    assert busy == [("10:00", 2, 0, 0.5), ("11:00", 1, 1, 0.5)]
    assert [line["line_id"] for line in found["lines"]] == ["main"]
    assert found["total"] == {"entries": 3, "exits": 1, "turned_back": 1}
    assert get(client, f"/v1/footfall?{DAY}&line=back")["total"] == {"entries": 0, "exits": 0, "turned_back": 0}
    assert [b["entries"] for b in get(client, f"/v1/footfall?{DAY}&by=day")["buckets"]] == [3]
    minutes = get(client, "/v1/footfall?from=2026-03-01T10:00&to=2026-03-01T10:03&by=minute")["buckets"]
    assert [(b["entries"], b["turned_back"]) for b in minutes] == [(1, 0), (1, 0), (0, 1)]


def test_journeys(client: TestClient) -> None:
    found = get(client, f"/v1/journeys?{DAY}")
    assert (found["journeys_total"], found["censored"], found["next_cursor"]) == (3, 1, None)
    assert (found["median_duration_s"], found["whole_median_duration_s"]) == (120, 90)
    first, _, last = found["journeys"]
    assert (first["journey_id"], first["identity"]) == ("s1-0-1", {"session_id": "s1", "identity_id": 0})
    assert (first["enter_time"], first["duration_s"], first["stays"]) == ("2026-03-01T10:00:00+05:30", 60, [])
    assert (first["p_same"], last["p_same"], last["censored"], last["staff_probability"]) == (0.9, None, True, None)
    assert last["stays"] == [
        {
            "zone_id": "checkout",
            "enter_time": "2026-03-01T10:02:00+05:30",
            "exit_time": "2026-03-01T10:02:09+05:30",
            "dwell_s": 9.0,
        }
    ]
    assert found["coverage"]["share"] == 1.0


def test_journeys_page_by_page_and_filtered(client: TestClient) -> None:
    names, cursor = [], ""
    for _ in range(3):
        page = get(client, f"/v1/journeys?{DAY}&limit=1{cursor}")
        names += [journey["journey_id"] for journey in page["journeys"]]
        assert page["journeys_total"] == 3
        cursor = f"&cursor={page['next_cursor']}"
    assert (names, page["next_cursor"]) == (["s1-0-1", "s1-1-1", "s1-2-1"], None)
    for condition, kept in (
        ("zone=checkout", ["s1-1-1", "s1-2-1"]),
        ("min_duration_s=120", ["s1-1-1", "s1-2-1"]),
        ("censored=false", ["s1-0-1", "s1-1-1"]),
        ("censored=true&zone=checkout", ["s1-2-1"]),
    ):
        found = get(client, f"/v1/journeys?{DAY}&{condition}")
        assert [journey["journey_id"] for journey in found["journeys"]] == kept
        assert found["journeys_total"] == len(kept)
    assert get(client, f"/v1/journeys?{DAY}&zone=bakery", 404)["known"] == ["checkout", "étagère 1/2"]
    get(client, f"/v1/journeys?{DAY}&min_duration_s=-1", 422)


def test_visitors(client: TestClient, empty_client: TestClient) -> None:
    found = get(client, f"/v1/visitors?{DAY}")
    assert found["days"] == [
        {
            "day": "2026-03-01",
            "visitors": 3,
            "too_short": 0,
            "people": {"expected": 3.0, "low": 3, "high": 3, "estimated": True},
            "links": 0,
            "unassessed_links": 0,
        }
    ]
    assert found["coverage"]["share"] == 1.0
    assert get(empty_client, f"/v1/visitors?{DAY}")["days"] == []
    assert found["headcount"] == {
        "visits": 3, "visits_without_staff": 2, "people": 3, "people_without_staff": 2,
        "parties": 2, "parties_without_staff": 1, "unassessed": 1, "staff_from": 0.5,
    }  # fmt: skip


def test_zones(client: TestClient) -> None:
    checkout, shelves = get(client, f"/v1/zones?{DAY}")["zones"]
    assert (checkout["visits"], checkout["censored"], checkout["people"]) == (3, 1, 3)
    assert (checkout["median_dwell_s"], checkout["p90_dwell_s"]) == (20, 52)
    assert (checkout["survival_median_dwell_s"], checkout["survival_p90_dwell_s"]) == (20, None)
    assert (shelves["name"], shelves["visits"], shelves["median_dwell_s"]) == ("Shelves", 0, None)
    assert get(client, f"/v1/zones/{quote(shelves['zone_id'], safe='')}/visits?{DAY}")["zone"] == shelves
    visits = get(client, f"/v1/zones/checkout/visits?{DAY}")
    assert visits["zone"] == checkout
    assert visits["visits"][0] == {
        "camera_id": "door", "run_id": "r1", "local_id": 0, "identity": {"session_id": "s1", "identity_id": 0},
        "enter_time": "2026-03-01T10:00:00+05:30", "exit_time": "2026-03-01T10:00:10+05:30",
        "dwell_s": 10.0, "observed_s": 10.0, "bridged_s": 0.0, "censored": False,
    }  # fmt: skip


def test_pages(client: TestClient) -> None:
    def pages(path: str, key: str) -> Iterator[Any]:
        cursor = ""
        while cursor is not None:
            found = get(client, f"{path}?{DAY}&limit=2{cursor and '&cursor=' + quote(cursor)}")
            assert 1 <= len(found[key]) <= 2
            yield from found[key]
            cursor = found["next_cursor"]

    assert [row["local_id"] for row in pages("/v1/tracks", "tracks")] == [0, 1, 2, 3, 4]
    assert [row["local_id"] for row in pages("/v1/zones/checkout/visits", "visits")] == [0, 1, 2]
    assert get(client, f"/v1/tracks?{DAY}&camera=till")["tracks"] == []
    assert get(client, f"/v1/tracks?{DAY}&camera=till")["coverage"]["asked_camera_minutes"] == 1440


def test_cameras(live_client: TestClient) -> None:
    door, till = get(live_client, f"/v1/cameras?{DAY}")["cameras"]
    assert (door["name"], door["recorded_minutes"], door["asked_minutes"]) == ("Main door", 120, 1440)
    assert door["live"]["last_frame_time"] == "2026-03-01T11:30:00+05:30"
    assert (till["share"], till["interval_share"], till["live"]["status"], till["last_minute"]) == (
        None,
        0,
        "failed",
        None,
    )


def test_site_and_live(live_client: TestClient, running: Any) -> None:
    found = get(live_client, "/v1/site")
    assert (found["default_day"], found["today"], found["days_on_record"]) == (
        "2026-03-01",
        "2026-03-01",
        ["2026-03-01"],
    )
    assert [zone["id"] for zone in found["zones"]] == ["checkout", "étagère 1/2"]
    stats = get(live_client, "/v1/stats")
    assert stats["live"] == {
        "time": "2026-03-01T11:30:00+05:30",
        "people_now": 14,
        "session_id": "s1",
        "set_aside": {"late": 5, "duplicate": 4, "untracked": 3, "invalid": 0},
    }
    assert stats["to"] == "2026-03-01T11:40:00+05:30"  # today counts up to now
    running.running = False
    assert get(live_client, "/v1/stats")["live"] is None


def test_reset_begins_a_session_and_deletes_nothing(live_client: TestClient, running: Any, lake_root: Path) -> None:
    before = {path: path.read_bytes() for path in lake_root.rglob("*") if path.is_file()}
    response = live_client.post("/v1/reset-daily")
    assert response.status_code == 200
    assert response.json() == {"session_id": "s2", "reset_time": "2026-03-01T11:40:00+05:30", "deleted_rows": 0}
    assert len(running.resets) == 1
    assert {path: path.read_bytes() for path in lake_root.rglob("*") if path.is_file()} == before
    running.running = False
    refused = live_client.post("/v1/reset-daily")
    assert (refused.status_code, refused.headers["content-type"]) == (409, PROBLEM)
    assert "'shop-1' is not running" in refused.json()["detail"]


def test_reset_without_a_running_site(client: TestClient) -> None:
    assert client.post("/v1/reset-daily").status_code == 409
    assert client.get("/v1/reset-daily").status_code == 405


def test_an_empty_lake_is_no_error(empty_client: TestClient) -> None:
    assert get(empty_client, "/readyz") == {"status": "ready"}
    for path in ("stats", "footfall", "zones", "zones/checkout/visits", "tracks", "cameras"):
        coverage = get(empty_client, f"/v1/{path}")["coverage"]
        assert (coverage["share"], coverage["interval_share"], coverage["recorded_camera_minutes"]) == (None, 0.0, 0)
    assert get(empty_client, "/v1/site")["days_on_record"] == []


def test_no_lake_is_unready_until_it_is_there(tmp_path: Path, site: SiteInfo) -> None:
    with TestClient(create_app(tmp_path / "lake", site)) as client:
        assert get(client, "/healthz") == {"status": "ok"}
        problem = get(client, "/readyz", 503)
        assert "no lake here; start a run" in problem["detail"]
        assert get(client, "/v1/stats", 503)["title"] == "The lake cannot be read"
        (tmp_path / "lake").mkdir()
        assert get(client, "/readyz") == {"status": "ready"}


def test_a_foreign_file_is_named(lake_root: Path, tmp_path: Path, site: SiteInfo) -> None:
    shutil.copytree(lake_root, tmp_path / "lake")
    foreign = next((tmp_path / "lake/coverage").rglob("*.parquet")).with_name("x.parquet")
    foreign.write_bytes(b"PAR1 no")
    with TestClient(create_app(tmp_path / "lake", site)) as client:
        assert "x.parquet: not a whole Parquet file" in get(client, "/v1/stats", 503)["detail"]
        foreign.unlink()
        assert get(client, f"/v1/stats?{DAY}")["entries"] == 3


def test_a_stuck_site_is_said_so(lake_root: Path, site: SiteInfo) -> None:
    class Stuck:
        def snapshot(self) -> LiveSnapshot | None:
            raise StuckError("site actor: no answer within 5 s from rtsp://user:secret@10.0.0.1/x")

        def reset_session(self, now_us: int) -> str | None:
            raise StuckError("site actor: no answer within 5 s")

    with TestClient(create_app(lake_root, site, Stuck())) as client:
        problem = get(client, f"/v1/stats?{DAY}", 503)
        assert problem["title"] == "The running site does not answer"
        assert "secret" not in problem["detail"]
        assert client.post("/v1/reset-daily").status_code == 503
        assert get(client, f"/v1/footfall?{DAY}")["total"]["entries"] == 3


def test_unexpected_errors_show_nothing_of_the_inside(lake_root: Path, site: SiteInfo) -> None:
    class Broken:
        def snapshot(self) -> LiveSnapshot | None:
            raise KeyError("password")

        def reset_session(self, now_us: int) -> str | None:
            raise KeyError("password")

    with TestClient(create_app(lake_root, site, Broken()), raise_server_exceptions=False) as client:
        problem = get(client, f"/v1/stats?{DAY}", 500)
        assert problem["title"] == "Internal error"
        assert "password" not in str(problem)


def test_many_may_ask_at_once(client: TestClient) -> None:
    paths = [f"/v1/{path}?{DAY}" for path in ("stats", "footfall", "zones", "tracks", "cameras")] * 4
    alone = [get(client, path) for path in paths[:5]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda path: get(client, path), paths))
    assert together == alone * 4


# --- what is refused

REFUSED = {
    "/v1/zones/checkot/visits": (404, "There is no zone 'checkot'"),
    "/v1/zones/%00%F0%9F%92%A9/visits": (404, "There is no zone"),
    f"/v1/zones/{'x' * 3000}/visits": (404, "There is no zone"),
    "/v1/footfall?line=side": (404, "There is no line 'side'"),
    "/v1/tracks?camera=' OR 1=1 --": (404, "There is no camera"),
    "/v1/stats?from=yesterday": (422, "from: 'yesterday' is no time: write 2026-03-01"),
    "/v1/stats?from=2026-02-30": (422, "from: '2026-02-30' is no time"),
    "/v1/stats?from=": (422, "from: '' is no time"),
    "/v1/stats?from=2026-03-01T10:00:00+05:30": (422, "'+' is %2B"),
    "/v1/stats?from=2026-03-02&to=2026-03-01": (422, "the interval is empty"),
    "/v1/stats?from=2026-03-01T10:00&to=2026-03-01T10:00": (422, "the interval is empty"),
    "/v1/stats?from=0001-01-01": (422, "not between the years 1970 and 2200"),
    "/v1/stats?to=9999-12-31": (422, "is no time"),
    "/v1/stats?to=9999-12-31T23:59:59-23:59": (422, "to:"),
    "/v1/stats?form=2026-03-01": (422, "form: Extra inputs are not permitted"),
    "/v1/footfall?by=week": (422, "by: Input should be 'minute', 'hour' or 'day'"),
    "/v1/footfall?by=minute&from=2026-01-01&to=2026-03-01": (422, "more than 1500 minutes"),
    "/v1/tracks?limit=0": (422, "limit"),
    "/v1/tracks?limit=1001": (422, "limit"),
    "/v1/tracks?limit=99999999999999999999999": (422, "limit"),
    "/v1/tracks?limit=ten": (422, "limit"),
    "/v1/tracks?cursor=abc": (422, "cursor: not a cursor of an earlier answer"),
    "/v1/tracks?cursor=W10=": (422, "cursor: not a cursor"),
    "/v1/tracks?cursor=WzEsIDIsIDMsIDRd": (422, "cursor: not a cursor"),
    "/v1/tracks?cursor=WzFlMzAwLCAiYSIsICJiIiwgMV0=": (422, "cursor: not a cursor"),
    "/v1/nothing": (404, "openapi.json"),
    "/static/nothing.js": (404, "openapi.json"),
    "/static/..%2f..%2fapp.py": (404, "openapi.json"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_bad_requests_are_told_what_would_be_right(client: TestClient, path: str) -> None:
    status, message = REFUSED[path]
    response = client.get(path)
    assert response.headers["content-type"] == PROBLEM
    problem = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert message in problem["detail"]
    assert len(response.text) < 2000


def test_unknown_names_list_the_known(client: TestClient) -> None:
    assert get(client, "/v1/zones/x/visits", 404)["known"] == ["checkout", "étagère 1/2"]
    assert get(client, "/v1/footfall?line=x", 404)["known"] == ["main", "back"]
    assert get(client, "/v1/tracks?camera=x", 404)["known"] == ["door", "till"]


# --- OpenAPI


def validate(document: dict[str, Any], path: str, method: str, response: Any) -> None:
    """The answer is documented: its status, media type and body."""
    responses = document["paths"][path][method]["responses"]
    status = str(response.status_code)
    assert status in responses, f"{method} {path} answered {status}, which openapi.json does not know"
    media_type = response.headers["content-type"].split(";")[0]
    content = responses[status]["content"]
    assert list(content) == [media_type]
    schema = content[media_type]["schema"] | {"components": document["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(response.json())


def test_openapi_is_true(live_client: TestClient, empty_client: TestClient) -> None:
    document = get(live_client, "/openapi.json")
    assert set(document["paths"]) == {
        "/healthz", "/readyz", "/v1/site", "/v1/stats", "/v1/footfall", "/v1/zones", "/v1/zones/{zone_id}/visits",
        "/v1/tracks", "/v1/journeys", "/v1/visitors", "/v1/cameras", "/v1/reset-daily",
        "/v1/metrics", "/v1/metrics/{metric_id}",
    }  # fmt: skip
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"]
            assert operation["responses"]["200"]["content"]["application/json"]["schema"], path
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (path, parameter["name"])
            for client in (live_client, empty_client):
                for zone in ("checkout", "nowhere"):
                    address = path.replace("{zone_id}", zone).replace("{metric_id}", "dwell")
                    for query in ("", "?from=2026-03-01&to=2026-03-01", "?from=x", "?nonsense=1"):
                        validate(document, path, method, client.request(method, address + query))
    assert "HTTPValidationError" not in str(document)


def test_openapi_notices_a_wrong_answer(live_client: TestClient) -> None:
    """The validation above can fail: it refuses the answer of another operation."""
    document = get(live_client, "/openapi.json")
    with pytest.raises(jsonschema.ValidationError):
        validate(document, "/v1/stats", "get", live_client.get("/v1/footfall"))


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
times = st.sampled_from(
    ["2026-03-01", "2026-03-01T10:00", "2026-03-01T10:00Z", "1970-01-01", "2199-12-31", "2026-W09-7", "20260301", "0"]
)
limits = st.integers(-5, 1 << 70).map(str) | st.sampled_from(["1", "1e3", "NaN", "١٢"])
values = st.one_of(
    st.tuples(st.sampled_from(["from", "to"]), times | anything),
    st.tuples(st.just("limit"), limits),
    st.tuples(
        st.sampled_from(["cursor", "line", "camera", "by"]), anything | st.sampled_from(["hour", "day", "main", "door"])
    ),
    st.tuples(anything, anything),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(
        ["/v1/stats", "/v1/footfall", "/v1/zones", "/v1/zones/{zone_id}/visits", "/v1/tracks", "/v1/cameras"]
    ),
    query=st.lists(values, max_size=4),
    zone=anything | st.just("checkout"),
)
def test_no_request_breaks_the_server(client: TestClient, path: str, query: list[tuple[str, str]], zone: str) -> None:
    document = client.get("/openapi.json").json()
    address = path.replace("{zone_id}", quote(zone, safe=""))
    parts = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    response = client.get(f"{address}?{parts}")
    assert response.status_code in (200, 404, 422), response.text
    validate(document, path, "get", response)
