"""The watch over a view: moved, blocked and dark are found; people, light, noise and single glitches are not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from retail_ray.core.types import Image
from retail_ray.core.view import ViewChange, ViewFeatures
from retail_ray.video.fixed_view import FixedView

HW = (360, 640)
NOBODY = np.zeros((0, 4), np.float32)
Change = Callable[[Image], Image]


def shop(seed: int = 1) -> Image:
    """Shelves with goods: many rectangles of many colours."""
    rng = np.random.default_rng(seed)
    image = np.full((*HW, 3), 150, np.uint8)
    for _ in range(350):
        x, y, w, h = rng.integers([0, 0, 8, 8], [600, 330, 48, 38])
        colour = tuple(int(c) for c in rng.integers(20, 235, 3))
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    return image


SHOP = shop()


def noisy(image: Image, rng: np.random.Generator) -> Image:
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def shifted(x: float, y: float) -> Change:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return lambda image: np.asarray(cv2.warpAffine(image, matrix, HW[::-1], borderMode=cv2.BORDER_REFLECT), np.uint8)


def watch(view: FixedView, change: Change, looks: int, seed: int = 0) -> list[ViewChange]:
    rng = np.random.default_rng(seed)
    found = [view.look(noisy(change(SHOP), rng), 1.0, NOBODY, look) for look in range(looks)]
    return [change for change in found if change is not None]


def learnt() -> FixedView:
    view = FixedView(HW)
    assert [c.after for c in watch(view, lambda image: image, 3)] == ["unmoved"]
    return view


@pytest.mark.parametrize("shift", [(6.0, 0.0), (0.0, -8.0), (30.0, 20.0), (120.0, 40.0)])
def test_a_shift_is_found_and_measured(shift: tuple[float, float]) -> None:
    view = learnt()
    (change,) = watch(view, shifted(*shift), 5)
    assert (change.before, change.after) == ("unmoved", "moved")
    assert change.time_us == 2  # the third look
    assert change.shift_px == pytest.approx(np.hypot(*shift), abs=1.0)
    (back,) = watch(view, lambda image: image, 4)
    assert (back.before, back.after) == ("moved", "unmoved")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: (image * 0.5).astype(np.uint8),
        lambda image: np.clip(image * 1.4, 0, 255).astype(np.uint8),
        lambda image: np.clip(image * np.array([1.1, 1.0, 0.8]), 0, 255).astype(np.uint8),
        shifted(0.4, -0.3),
    ],
    ids=["nothing", "darker", "brighter", "warmer", "trembling"],
)
def test_light_moves_nothing(change: Change) -> None:
    assert watch(learnt(), change, 8) == []


def test_one_glitch_is_no_movement() -> None:
    view = learnt()
    for _ in range(3):
        assert watch(view, shifted(40, 0), 2) == []
        assert watch(view, lambda image: image, 1) == []


def test_people_in_front_are_looked_past() -> None:
    view, rng = learnt(), np.random.default_rng(3)
    for look in range(8):
        image = noisy(SHOP, rng)
        boxes = np.array([[40 + 60 * look, 60, 200 + 60 * look, 340]], np.float32)
        x1, y1, x2, y2 = boxes[0].astype(int)
        image[y1:y2, x1 : min(x2, 640)] = shop(50 + look)[y1:y2, x1 : min(x2, 640)]
        assert view.look(image, 1.0, boxes, look) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda image: np.full_like(image, 120), "blocked"),
        (lambda image: np.full_like(image, 6), "dark"),
        (lambda _: shop(9), "moved"),  # as many corners as ever, and none of them known
    ],
)
def test_nothing_recognised(change: Change, expected: str) -> None:
    (found,) = watch(learnt(), change, 5)
    assert found.after == expected
    assert np.isnan(found.shift_px)


@pytest.mark.parametrize("cut", [0, 1, 2, 4, 6])
def test_a_restored_watch_goes_on_alike(cut: int) -> None:
    def looks(view: FixedView, first: int, last: int) -> list[ViewChange | None]:
        rng = np.random.default_rng(8)
        images = [noisy(SHOP if look < 4 else shifted(20, 0)(SHOP), rng) for look in range(8)]
        return [view.look(images[look], 1.0, NOBODY, look) for look in range(first, last)]

    whole = FixedView(HW)
    expected = [None if c is None else (c.time_us, c.after, c.shift_px) for c in looks(whole, 0, 8)][cut:]
    before, after = FixedView(HW), FixedView(HW)
    looks(before, 0, cut)
    after.restore(before.state())
    assert after.state() == before.state()
    assert [None if c is None else (c.time_us, c.after, c.shift_px) for c in looks(after, cut, 8)] == expected
    assert after.state() == whole.state()


def test_a_picture_without_corners_is_never_a_reference() -> None:
    view = FixedView(HW)
    assert watch(view, lambda image: np.full_like(image, 90), 6) == []
    assert view.reference is None


def test_a_kept_reference_is_used_at_once() -> None:
    view = FixedView(HW, learnt().reference)
    assert [c.after for c in watch(view, shifted(25, 0), 3)] == ["moved"]


def test_no_features_are_no_error() -> None:
    assert len(ViewFeatures.empty()) == 0
