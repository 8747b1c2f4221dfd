"""Camera faults change colour as stated, leave what they should, and come again from the same seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_ray.simulation.camera_clip import frame_times
from retail_ray.simulation.degrade import CameraFaults, Degrader, draw_faults, with_motion_blur

IDEAL = CameraFaults(blur_px=0.0, noise=0.0)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (60, 80, 3), np.uint8)


def test_an_ideal_camera_changes_nothing() -> None:
    assert (Degrader(IDEAL, (60, 80), 1).apply(picture(), 0.0) == picture()).all()


def test_same_seed_same_picture_other_seed_other_noise() -> None:
    faults = draw_faults(np.random.default_rng(3))
    first, again, other = (Degrader(faults, (60, 80), seed).apply(picture(), 0.5) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_noise_has_the_stated_strength_and_no_bias() -> None:
    faults = CameraFaults(blur_px=0.0, noise=5.0)
    grey = np.full((200, 300, 3), 120, np.uint8)
    seen = Degrader(faults, (200, 300), 1).apply(grey, 0.0).astype(float) - 120
    assert seen.std() == pytest.approx(5.0, rel=0.05)
    assert abs(seen.mean()) < 0.1


def test_noise_differs_from_frame_to_frame() -> None:
    degrader = Degrader(CameraFaults(blur_px=0.0, noise=5.0), (60, 80), 1)
    assert (degrader.apply(picture(), 0.0) != degrader.apply(picture(), 0.1)).mean() > 0.5


def test_white_balance_is_per_channel_in_rgb_order() -> None:
    faults = CameraFaults(white_balance=(1.2, 1.0, 0.8), blur_px=0.0, noise=0.0)
    red, green, blue = Degrader(faults, (4, 4), 1).apply(np.full((4, 4, 3), 100, np.uint8), 0.0)[0, 0]
    assert (red, green, blue) == (120, 100, 80)


def test_gamma_and_exposure_saturate_instead_of_wrapping() -> None:
    faults = CameraFaults(exposure=3.0, gamma=0.5, blur_px=0.0, noise=40.0)
    bright = Degrader(faults, (60, 80), 1).apply(np.full((60, 80, 3), 250, np.uint8), 0.0)
    assert bright.min() > 60


def test_flicker_follows_its_frequency() -> None:
    degrader = Degrader(CameraFaults(blur_px=0.0, noise=0.0, flicker_share=0.1, flicker_hz=2.0), (4, 4), 1)
    grey = np.full((4, 4, 3), 120, np.uint8)
    level = [float(degrader.apply(grey, k / 40).mean()) for k in range(40)]
    strongest = int(np.argmax(np.abs(np.fft.rfft(np.array(level) - np.mean(level)))))
    assert strongest == 2
    assert max(level) - min(level) == pytest.approx(24, abs=2)


def test_motion_blur_smears_along_the_way_and_keeps_the_rest() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    ids = np.zeros((40, 60), np.uint16)
    image[10:30, 28:32], ids[10:30, 28:32] = 200, 7
    image[:, 0] = 90
    smeared = with_motion_blur(image, ids, {7: (10.0, 0.0), 8: (20.0, 20.0)})
    assert smeared[20, 25:36].mean() > image[20, 25:36].mean() * 0.9
    assert (smeared[20, 24] > 0).all()
    assert (smeared[:, 0] == 90).all()
    assert (smeared[5] == image[5]).all()
    assert float(smeared[:, 20:40].sum()) == pytest.approx(float(image[:, 20:40].sum()), rel=0.05)
    assert (image[10:30, 28:32] == 200).all()


def test_who_stands_still_is_not_blurred() -> None:
    image, ids = picture(), np.ones((60, 80), np.uint16)
    assert with_motion_blur(image, ids, {1: (0.4, 0.6)}) is image


@given(st.integers(0, 10_000), st.floats(0, 2))
def test_drawn_faults_stay_within_what_cameras_do(seed: int, severity: float) -> None:
    faults = draw_faults(np.random.default_rng(seed), severity)
    assert abs(faults.clock_error_us) <= 200_000
    assert 15 <= faults.crf <= 40
    assert 0 <= faults.dropped_share <= 0.05
    assert all(0.5 < gain < 2 for gain in (*faults.white_balance, faults.exposure, faults.gamma))
    assert severity > 0 or (faults.noise, faults.clock_error_us, faults.exposure) == (0, 0, 1)


@given(st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0, 0.9))
def test_frame_times_rise_and_the_first_is_kept(seed: int, jitter: float, dropped: float) -> None:
    faults = CameraFaults(frame_time_jitter_share=jitter, dropped_share=dropped)
    times = list(frame_times(4.0, 10.0, faults, seed))
    assert len(times) == 40
    assert times[0] == (0, True)
    assert all(later[0] > earlier[0] for earlier, later in pairwise(times))
    assert times[-1][0] < 4_000_000
