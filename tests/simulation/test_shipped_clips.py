"""The demo's shipped clips are what their recipe draws: the first frames of one of them, drawn again.

Encoders and renderers may round otherwise on another processor, so decoded pictures are compared, not bytes: on average
a pixel may differ by a quarter of a grey level. Pictures half a second away differ by more, so that the test can fail.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from jobs.demo import STORE
from retail_ray.simulation.camera_clip import make_clip
from retail_ray.simulation.layout_files import plan_by_name
from retail_ray.simulation.recipe import load_recipe
from retail_ray.simulation.scenario import simulate
from retail_ray.simulation.video import clip_orders

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools
]
FRAMES = 12
CAMERA = "till"
TOLERANCE = 0.25


def pictures(clip: Path, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(count, H, W, 3) RGB."""
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), count)]
    return np.stack(frames).astype(np.float32)


def test_the_beginning_of_a_shipped_clip_is_drawn_again(tmp_path: Path) -> None:
    recipe = load_recipe(STORE / "recipe.yaml")
    plan = plan_by_name(recipe.layout)
    orders = clip_orders(plan, simulate(plan, recipe.scenario, recipe.seed), recipe.video, recipe.seed, tmp_path)
    whole = next(order for order in orders if order.camera.id == CAMERA)
    ticks = round(FRAMES / recipe.video.fps / whole.crowd.tick_s)
    make_clip(replace(whole, crowd=replace(whole.crowd, ticks=ticks)))

    shipped, again = pictures(STORE / "clips" / whole.path.name, FRAMES), pictures(whole.path, FRAMES)
    apart = np.abs(shipped - again).mean(axis=(1, 2, 3))
    assert len(again) == FRAMES
    assert apart.max() < TOLERANCE, f"mean differences by frame: {apart.round(3)}"
    assert np.abs(shipped[5:] - again[:-5]).mean(axis=(1, 2, 3)).min() > 2 * TOLERANCE
