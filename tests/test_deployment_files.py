"""cluster.yaml and serve_configs: what Ray's own validators say, and that the names in them exist."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def cluster() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return content


def validated(content: dict[str, Any]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.autoscaler._private.util import prepare_config, validate_config

        prepared: dict[str, Any] = prepare_config(content)
        validate_config(prepared)
    return prepared


def test_cluster_yaml_is_valid_for_the_cluster_launcher() -> None:
    types = validated(cluster())["available_node_types"]
    assert types["camera_worker"]["min_workers"] >= 1
    assert "GPU" not in types["camera_worker"]["resources"]
    assert types["model_worker"]["resources"]["GPU"] >= 1
    assert cluster()["head_node_type"] in types


def test_the_start_commands_name_the_site_that_serve_deploy_serves() -> None:
    content = cluster()
    for commands in (content["head_start_ray_commands"], content["worker_start_ray_commands"]):
        started = [command for command in commands if "ray start" in command]
        assert len(started) == 1
        assert "RETAIL_RAY_SITE=/data/site.yaml ray start" in started[0]


def test_a_misspelt_key_in_cluster_yaml_would_be_found() -> None:
    content = cluster()
    content["available_node_types"]["head"]["resorces"] = {}
    with pytest.raises(Exception, match="resorces"):
        validated(content)


@pytest.mark.parametrize("path", sorted((ROOT / "serve_configs").glob("*.yaml")), ids=lambda path: path.name)
def test_serve_configs_are_valid_and_their_builders_exist(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.serve.schema import ServeDeploySchema

        config = ServeDeploySchema(**yaml.safe_load(path.read_text()))
        for application in config.applications:
            module, builder = application.import_path.split(":")
            assert callable(getattr(importlib.import_module(module), builder))
    assert len({application.name for application in config.applications}) == len(config.applications)
