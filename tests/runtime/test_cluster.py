"""The three ways in, against a Ray started from the project's environment: job submit, serve deploy, HTTP, live."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch
import yaml

from retail_ray.lake.views import open_lake
from tests.runtime.sites import ON_FLOOR, commits_of, lab, rows_of, street, write_site
from tests.vision.test_segmenter import small_sam

pytestmark = [pytest.mark.ray, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
DEADLINE_S = 240
# A machine that does much else at the same time answers late, but it answers.
PATIENCE_S = 60


@dataclass(frozen=True)
class Cluster:
    dashboard: str
    http: str
    environment: dict[str, str]
    site: Path
    lake: Path
    head_pid: int

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command line of the cluster's own tools."""
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def submit(self, *entrypoint: str, wait: bool = True) -> subprocess.CompletedProcess[str]:
        more = [] if wait else ["--no-wait"]
        command = ["ray", "job", "submit", "--address", self.dashboard, "--working-dir", ".", *more, "--"]
        return self.call(*command, *entrypoint)

    def pid_of(self, part: str) -> int:
        """The process of this cluster that runs an actor or replica."""
        workers = psutil.Process(self.head_pid).children(recursive=True)
        return next(worker.pid for worker in workers if f"ray::{part}" in " ".join(worker.cmdline()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(ask: Callable[[], Any], what: str) -> Any:
    """Poll until the answer is true."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"waited {DEADLINE_S} s for {what}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Cluster]:
    """A head node on loopback with the models and the query service of one site deployed."""
    folder = tmp_path_factory.mktemp("cluster")
    site = write_site(folder, shared_data, [street(shared_data), lab(shared_data, 1), lab(shared_data, 2)], **ON_FLOOR)
    (folder / "lake").mkdir()
    port, dashboard_port, http_port = free_port(), free_port(), free_port()
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ADDRESS": f"127.0.0.1:{port}",
        "RETAIL_RAY_SITE": str(site),
    }
    head = subprocess.Popen(
        [
            str(BIN / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}",
            "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}", "--num-cpus=2",
            f"--dashboard-agent-listen-port={free_port()}",
            "--object-store-memory=500000000",
        ],
        env={name: value for name, value in environment.items() if name != "RAY_ADDRESS"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    dashboard, http = f"http://127.0.0.1:{dashboard_port}", f"http://127.0.0.1:{http_port}"
    started = Cluster(dashboard, http, environment, site, folder / "lake", head.pid)
    try:
        until(lambda: head.poll() is None and answers(f"{dashboard}/api/version"), "the dashboard")
        until(lambda: started.submit("python", "-c", "pass").returncode == 0, "the job agent")
        deploy(started, folder, "store.yaml")
        yield started
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        try:
            head.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait(30)


def deploy(cluster: Cluster, folder: Path, name: str, **args: str) -> None:
    """A file of serve_configs as it is, but for the port and, where they are given, the arguments; until it runs."""
    config = yaml.safe_load((ROOT / "serve_configs" / name).read_text())
    config["http_options"]["port"] = int(cluster.http.rsplit(":", 1)[1])
    for application in config["applications"]:
        application["args"] |= args
    path = folder / name
    path.write_text(yaml.safe_dump(config))
    done = cluster.call("serve", "deploy", "-a", cluster.dashboard, str(path))
    assert done.returncode == 0, done.stderr
    wanted = {application["name"] for application in config["applications"]}
    until(lambda: running_applications(cluster) == wanted, f"the applications of {name}")
    if "query" in wanted:
        until(lambda: answers(f"{cluster.http}/readyz"), "the query service")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=PATIENCE_S).status_code == 200
    except httpx.TransportError:
        return False


def running_applications(cluster: Cluster) -> set[str]:
    told = yaml.safe_load(cluster.call("serve", "status", "-a", cluster.dashboard).stdout)
    return {name for name, app in told["applications"].items() if app["status"] == "RUNNING"}


def with_segmenter(folder: Path, data: Path) -> Path:
    """A site whose camera cuts people out of key frames, with a small network of random values."""
    checkpoint = folder / "small_sam.pth"
    torch.save(small_sam(0).state_dict(), checkpoint)
    models = {
        "detector": {"weights": str(data / "weights/yolo11n_int8_openvino_model")},
        "embedder": {"weights": str(data / "weights/osnet_x0_25_msmt17.onnx")},
        "segmenter": {"weights": str(checkpoint), "threads": 1},
    }
    return write_site(folder, data, [lab(data, 1, segmentation=True)], models=models)


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Rows of the site, worked in one process without Ray."""
    plain = tmp_path_factory.mktemp("plain")
    command = ["retail-ray", "run", "--site", str(cluster.site), "--lake", str(plain), "--in-process", "--json"]
    assert cluster.call(*command).returncode == 0
    return rows_of(plain)


def test_a_submitted_job_uses_the_deployed_models_and_gives_the_rows_of_the_plain_loop(
    cluster: Cluster, undisturbed: dict[str, str]
) -> None:
    assert httpx.get(f"{cluster.http}/v1/stats", timeout=PATIENCE_S).json()["tracklets"] == 0
    batch = ("python", "jobs/batch.py", "--site", str(cluster.site), "--lake", str(cluster.lake), "--json")
    done = cluster.submit(*batch)
    assert done.returncode == 0, done.stdout + done.stderr
    assert running_applications(cluster) == {"detector", "embedder", "segmenter", "query"}
    assert rows_of(cluster.lake) == undisturbed

    stats = httpx.get(f"{cluster.http}/v1/stats", timeout=PATIENCE_S).json()
    assert stats["tracklets"] > 20
    assert stats["coverage"]["share"] == 1.0
    assert stats["live"] is None
    assert httpx.post(f"{cluster.http}/v1/reset-daily", timeout=PATIENCE_S).status_code == 409
    page = httpx.get(cluster.http, timeout=PATIENCE_S)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


@pytest.mark.parametrize(
    ("part", "restarts"),
    [("CameraActor", 1), ("GalleryActor", 1), ("SiteActor", 1), ("ServeReplica:detector", 0)],
)
def test_a_killed_part_changes_no_row(
    cluster: Cluster, tmp_path: Path, undisturbed: dict[str, str], part: str, restarts: int
) -> None:
    """The job goes back to the last commit by itself; a model keeps no state, so it is only asked again."""
    lake = tmp_path / "lake"
    command = [str(BIN / "retail-ray"), "run", "--site", str(cluster.site), "--lake", str(lake), "--json"]
    with subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        until(lambda: commits_of(lake) >= 1 or job.poll() is not None, "the first commit")
        os.kill(cluster.pid_of(part), signal.SIGKILL)
        out, err = job.communicate(timeout=DEADLINE_S)
    assert job.returncode == 0, err
    assert json.loads(out)["restarts"] == restarts
    assert rows_of(lake) == undisturbed


def test_a_lake_inside_the_uploaded_folder_is_refused(cluster: Cluster) -> None:
    """It would vanish with the job's copy of the working directory."""
    done = cluster.submit("python", "jobs/batch.py", "--site", str(cluster.site), "--lake", "lake")
    assert done.returncode != 0
    assert "give --lake with an absolute path" in done.stdout + done.stderr


def test_models_deployed_with_other_settings_are_refused(cluster: Cluster, tmp_path: Path, shared_data: Path) -> None:
    """Counting with another threshold than the site's own must not pass unseen."""
    models = yaml.safe_load(cluster.site.read_text())["models"]
    models["detector"]["confidence"] = 0.3
    other = write_site(tmp_path, shared_data, [lab(shared_data, 1)], models=models)
    done = cluster.call("retail-ray", "run", "--site", str(other), "--json")
    assert done.returncode == 2
    assert "the deployed detector runs with other settings" in done.stderr


def test_a_segmenter_deployed_as_off_is_not_passed_over(cluster: Cluster, tmp_path: Path, shared_data: Path) -> None:
    """The deployed site runs without one; a site that has one must not silently lose its masks."""
    done = cluster.call("retail-ray", "run", "--site", str(with_segmenter(tmp_path, shared_data)), "--json")
    assert done.returncode == 2
    assert "the segmenter is deployed as off, for a site without models.segmenter" in done.stderr


def test_live_state_rows_and_reset_while_a_stream_runs(cluster: Cluster, tmp_path: Path, shared_data: Path) -> None:
    """A file at its own pace as a live camera, and one that is off: rows and live state come within seconds."""
    content = yaml.safe_load(cluster.site.read_text())
    shop = str(shared_data / "clips/unlabelled/shop_cctv_channel1.mp4")
    content["cameras"] = [
        {"id": "shop", "uri": shop, "analysis_fps": 5},
        {"id": "off", "uri": f"rtsp://127.0.0.1:{free_port()}/x", "analysis_fps": 5},
    ]
    content |= {"lines": [], "zones": [], "runtime": {"live_epoch_s": 2, "allowed_lateness_s": 1}}
    live_site = tmp_path / "live.yaml"
    live_site.write_text(yaml.safe_dump(content))
    stream = ("python", "jobs/stream.py", "--site", str(live_site), "--lake", str(cluster.lake), "--duration-s", "60")
    done = cluster.submit(*stream, "--json", wait=False)
    assert done.returncode == 0, done.stdout + done.stderr

    def live() -> Any:
        answer = httpx.get(f"{cluster.http}/v1/stats", timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        state = answer.json()["live"]
        return state if state and state["people_now"] > 0 else None

    until(live, "people in the live state")
    reset = httpx.post(f"{cluster.http}/v1/reset-daily", timeout=PATIENCE_S)
    assert reset.status_code == 200
    session = reset.json()["session_id"]

    def rows() -> list[dict[str, Any]]:
        with open_lake(cluster.lake) as lake:
            return lake.rows("SELECT DISTINCT session_id FROM identity_events WHERE run_id LIKE 'live%' ORDER BY 1")

    until(lambda: session in {row["session_id"] for row in rows()}, "rows of the new session")
    assert len(rows()) == 2
    until(
        lambda: httpx.get(f"{cluster.http}/v1/stats", timeout=PATIENCE_S).json()["live"] is None,
        "the end of the stream",
    )
    with open_lake(cluster.lake) as lake:
        coverage = lake.rows(
            "SELECT camera_id, sum(processed_frames) AS processed, sum(expected_frames) AS expected,"
            " string_agg(DISTINCT reason) AS reasons FROM coverage WHERE run_id LIKE 'live%' GROUP BY 1 ORDER BY 1"
        )
    off, shop_row = coverage
    assert off["processed"] == 0 < off["expected"]
    assert "disconnected" in off["reasons"]
    assert shop_row["processed"] > 10


def test_json_of_a_job_is_nothing_but_json(cluster: Cluster, tmp_path: Path) -> None:
    until(
        lambda: httpx.get(f"{cluster.http}/v1/stats", timeout=PATIENCE_S).json()["live"] is None, "the site to be free"
    )
    command = ["retail-ray", "run", "--site", str(cluster.site), "--lake", str(tmp_path / "lake"), "--json"]
    done = cluster.call(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["coverage"]["share"] == 1.0


def test_the_models_and_the_api_deploy_each_by_its_own_file(
    cluster: Cluster, tmp_path: Path, shared_data: Path
) -> None:
    """Last, because it replaces what the others use. The models here are those of a site with a segmenter."""
    deploy(cluster, tmp_path, "query.yaml")
    assert httpx.get(f"{cluster.http}/v1/stats", timeout=PATIENCE_S).status_code == 200

    site = with_segmenter(tmp_path, shared_data)
    deploy(cluster, tmp_path, "inference.yaml", site=str(site))
    done = cluster.call("retail-ray", "run", "--site", str(site), "--json")
    assert done.returncode == 0, done.stderr
    assert running_applications(cluster) == {"detector", "embedder", "segmenter"}
    with open_lake(tmp_path / "lake") as lake:
        masks = lake.rows("SELECT count(mask) AS masks, count(*) AS boxes FROM detections")[0]
    assert 0 < masks["masks"] < masks["boxes"]
