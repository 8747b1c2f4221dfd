"""Every actor and replica of a store finds room on the nodes that `cluster.yaml` describes, and on the right ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from retail_ray.config import Site
from retail_ray.runtime.placement import ROLE_LABEL, camera_options, host_options, model_options, off_options

ROOT = Path(__file__).resolve().parents[2]
GPUS = {"detector": {"num_gpus": 0.5}, "embedder": {"num_gpus": 0.25}, "segmenter": {"num_gpus": 0.25}}


def node_types() -> dict[str, dict[str, Any]]:
    types: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "cluster.yaml").read_text())["available_node_types"]
    return types


def store(models: dict[str, Any], camera_cpus: float = 1.0, cameras: int = 4) -> Site:
    return Site.model_validate(
        {
            "site": "store",
            "timezone": "UTC",
            "cameras": [{"id": f"camera-{i}", "uri": f"/data/{i}.mp4"} for i in range(cameras)],
            "models": models,
            "runtime": {"camera_cpus": camera_cpus},
        }
    )


def demands(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and Ray options of everything that runs for one site."""
    for camera in site.cameras:
        yield camera.id, camera_options(site)
    for name in ("gallery", "site", "query"):
        yield name, host_options()
    for role in ("detector", "embedder", "segmenter"):
        settings = getattr(site.models, role)
        for _ in range(1 if settings is None else settings.replicas):
            yield role, off_options() if settings is None else model_options(settings)


def placed(site: Site, types: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Name -> node type, every node of the smallest number that the file starts; LookupError for what has no room."""
    free = {
        name: {"CPU": 0.0, "GPU": 0.0}
        | {k: v * max(1, kind.get("min_workers", 1)) for k, v in kind["resources"].items()}
        for name, kind in types.items()
    }
    places = {}
    for what, options in demands(site):
        role = options["label_selector"][ROLE_LABEL]
        name = next((n for n, kind in types.items() if kind.get("labels", {}).get(ROLE_LABEL) == role), None)
        wanted = {"CPU": options["num_cpus"], "GPU": options.get("num_gpus", 0.0)}
        if name is None or any(free[name][k] < amount for k, amount in wanted.items()):
            raise LookupError(f"{what} wants {wanted} on a node for {role}; free {free}")
        places[what] = name
        free[name] = {k: free[name][k] - amount for k, amount in wanted.items()}
    return places


def test_four_cameras_with_gpus_fit_one_node_of_each_type() -> None:
    places = placed(store(GPUS), node_types())
    assert {name for name, place in places.items() if place == "model_worker"} == {"detector", "embedder", "segmenter"}
    assert {name for name, place in places.items() if place == "head"} == {"gallery", "site", "query"}
    assert sorted(name for name, place in places.items() if place == "camera_worker") == [
        f"camera-{i}" for i in range(4)
    ]


def test_without_gpus_no_gpu_worker_is_started_or_used() -> None:
    assert node_types()["model_worker"]["min_workers"] == 0
    places = placed(store({"embedder": {"num_cpus": 1}, "detector": {"num_cpus": 2}}), node_types())
    assert set(places.values()) == {"head", "camera_worker"}
    assert (places["detector"], places["segmenter"]) == ("camera_worker", "head")


def test_a_head_without_cpus_has_no_room() -> None:
    """The control: gallery, site and HTTP would wait for ever."""
    types = node_types()
    types["head"]["resources"] = {"CPU": 0}
    with pytest.raises(LookupError, match="gallery wants"):
        placed(store(GPUS), types)


def test_the_file_names_every_node_type_by_its_label() -> None:
    labels = {name: kind["labels"][ROLE_LABEL] for name, kind in node_types().items()}
    assert labels == {"head": "head", "camera_worker": "cameras", "model_worker": "models"}


class _Where:
    """Says on which kind of node it runs."""

    def role(self) -> str | None:
        import ray

        labels: dict[str, str] = ray.get_runtime_context().get_node_labels()
        return labels.get(ROLE_LABEL)


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_ray_itself_places_them_so() -> None:
    """Nodes as in the file; the camera that has no room there waits, though the GPU worker has cores free."""
    import ray
    from ray.cluster_utils import Cluster

    types = node_types()
    cluster = Cluster()
    try:
        for kind in types.values():
            resources = kind["resources"]
            cluster.add_node(
                num_cpus=resources["CPU"],
                num_gpus=resources.get("GPU", 0),
                labels=kind["labels"],
                object_store_memory=80_000_000,
                include_dashboard=False,
            )
        ray.init(address=cluster.address, log_to_driver=False)
        site = store(GPUS, camera_cpus=2.0)
        actors = {name: ray.remote(_Where).options(**options).remote() for name, options in demands(site)}
        roles = ray.get([actor.role.remote() for actor in actors.values()], timeout=120)
        expected = [types[kind]["labels"][ROLE_LABEL] for kind in placed(site, types).values()]
        assert dict(zip(actors, roles, strict=True)) == dict(zip(actors, expected, strict=True))

        fifth = ray.remote(_Where).options(**camera_options(site)).remote()
        ready, _ = ray.wait([fifth.role.remote()], timeout=3)
        assert ready == []
    finally:
        ray.shutdown()
        cluster.shutdown()
