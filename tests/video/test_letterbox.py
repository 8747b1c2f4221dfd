"""The letterbox against ultralytics' own, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_ray.core.boxes import Letterbox
from retail_ray.core.errors import DataError
from retail_ray.video.folders import StillFrame
from retail_ray.video.images import read_rgb, scale_bilinear
from retail_ray.video.letterbox import letterbox_image, model_shape_for, stack_letterboxed


@pytest.fixture(scope="module")
def real_images(shared_data: Path) -> list[np.ndarray]:
    paths = sorted((shared_data / "clips/mot17_mini").glob("*/img1/000001.jpg"))
    images = [image for path in paths if (image := read_rgb(path)) is not None]
    assert {image.shape[:2] for image in images} == {(480, 640), (1080, 1920)}
    portrait = np.ascontiguousarray(np.rot90(images[0]))
    return [*images, portrait, scale_bilinear(images[0], (333, 517)), scale_bilinear(images[0], (77, 1001))]


@pytest.mark.parametrize("model_hw", [(640, 640), (384, 640), (320, 320), (736, 1280), (640, 384)])
def test_equals_ultralytics_on_real_frames(real_images: list[np.ndarray], model_hw: tuple[int, int]) -> None:
    from ultralytics.data.augment import LetterBox

    for image in real_images:
        theirs = LetterBox(model_hw, auto=False)(image=image.copy())
        ours = letterbox_image(image, Letterbox(image.shape[:2], model_hw))
        assert np.array_equal(ours, theirs), image.shape


def test_the_rectangular_shape_is_ultralytics_own(real_images: list[np.ndarray]) -> None:
    from ultralytics.data.augment import LetterBox

    for image in real_images:
        theirs = LetterBox((640, 640), auto=True, stride=32)(image=image.copy())
        shape = model_shape_for(image.shape[:2])
        assert shape == theirs.shape[:2]
        assert np.array_equal(letterbox_image(image, Letterbox(image.shape[:2], shape)), theirs)


@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from([(64, 64), (96, 64), (64, 128)]))
@settings(max_examples=60, deadline=None)
def test_equals_ultralytics_at_any_size(height: int, width: int, model_hw: tuple[int, int]) -> None:
    from ultralytics.data.augment import LetterBox

    image = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = LetterBox(model_hw, auto=False)(image=image.copy())
    assert np.array_equal(letterbox_image(image, Letterbox((height, width), model_hw)), theirs)


def test_a_stack_is_the_frames_one_by_one(real_images: list[np.ndarray]) -> None:
    frames = [StillFrame(i, i, np.roll(real_images[0], i * 7, axis=1)) for i in range(3)]
    letterbox = Letterbox(frames[0].native_hw, (384, 640))
    stack = stack_letterboxed(frames, letterbox)
    assert stack.shape == (3, 384, 640, 3)
    assert stack.flags.c_contiguous
    for frame, row in zip(frames, stack, strict=True):
        assert np.array_equal(row, letterbox_image(frame.image, letterbox))
    out = np.zeros_like(stack)
    assert stack_letterboxed(frames, letterbox, out) is out
    assert np.array_equal(out, stack)
    with pytest.raises(DataError, match="out"):
        stack_letterboxed(frames, letterbox, out[:2])
    assert stack_letterboxed([], letterbox).shape == (0, 384, 640, 3)


def test_refuses_an_image_of_another_size() -> None:
    with pytest.raises(DataError, match="letterbox"):
        letterbox_image(np.zeros((10, 10, 3), np.uint8), Letterbox((10, 12), (32, 32)))
