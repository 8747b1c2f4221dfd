"""The watch as a camera's pipeline uses it: alerts with their effect on the floor, memory, and saved state."""

from __future__ import annotations

import numpy as np
import pytest

from retail_ray.core.boxes import Letterbox
from retail_ray.core.homography import from_camera
from retail_ray.core.pose import look_at
from retail_ray.core.retail_records import Alert
from retail_ray.core.view import ViewFeatures
from retail_ray.runtime.view_watch import LOOK_EVERY_US, CameraViewWatch, ViewMemory
from retail_ray.video.letterbox import letterbox_image
from tests.video.test_fixed_view import HW, NOBODY, SHOP, noisy, shifted

CALIBRATION = from_camera(
    np.array([[400, 0, 320], [0, 400, 180], [0, 0, 1.0]]),
    *look_at(np.array([0, 0, 3.0]), np.array([0, 4.0, 0])),
    np.zeros(5),
)
LETTERBOX = Letterbox(HW, (320, 512))  # scaled and padded, as for a detector


class Memory:
    """Keeps what is remembered."""

    def __init__(self, known: ViewFeatures | None = None) -> None:
        self.known = known

    def access(self) -> ViewMemory:
        return ViewMemory(lambda: self.known, lambda features: setattr(self, "known", features))


def look(watch: CameraViewWatch, first: int, last: int, moved_from: int = 4) -> list[Alert]:
    alerts = []
    for number in range(first, last):
        image = noisy(shifted(20, 0)(SHOP) if moved_from <= number < 9 else SHOP, np.random.default_rng(number))
        boxed = letterbox_image(image, LETTERBOX)
        alerts += watch.look(boxed, LETTERBOX, number * LOOK_EVERY_US, NOBODY, CALIBRATION)
    return alerts


def test_raised_with_its_effect_then_cleared() -> None:
    memory = Memory()
    watch = CameraViewWatch("door", memory.access())
    raised, cleared = look(watch, 0, 12)
    assert (raised.rule_id, raised.state, raised.camera_id) == ("camera_moved", "raised", "door")
    assert raised.time_us == 6 * LOOK_EVERY_US
    assert raised.value == pytest.approx(20, abs=1.5)  # native pixels
    assert raised.value > raised.threshold
    assert " m on the floor" in raised.message
    assert (cleared.state, cleared.dedup_key) == ("cleared", raised.dedup_key)
    assert watch.words == ""
    assert memory.known is not None


def test_words_stand_while_it_lasts() -> None:
    watch = CameraViewWatch("door", Memory().access())
    look(watch, 0, 8)
    assert "camera 'door': has moved" in watch.words


@pytest.mark.parametrize("cut", [0, 2, 5, 8, 10])
def test_resumed_anywhere_it_ends_alike(cut: int) -> None:
    whole = CameraViewWatch("door", Memory().access())
    expected = look(whole, 0, 12)
    before, after = CameraViewWatch("door", Memory().access()), CameraViewWatch("door", Memory().access())
    first = look(before, 0, cut)
    after.restore(before.state())
    assert after.state() == before.state()
    assert after.words == before.words
    assert first + look(after, cut, 12) == expected
    assert after.state() == whole.state()


def test_a_look_every_ten_seconds_of_event_time() -> None:
    watch = CameraViewWatch("door", Memory().access())
    due = [time_us for time_us in range(0, 60_000_000, 100_000) if watch.is_due(time_us)]
    assert due == [number * LOOK_EVERY_US for number in range(6)]
