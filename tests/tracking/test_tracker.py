"""The Tracker port over BoxMOT: identities, time, ids, state. Every available tracker goes through the same tests."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import subprocess
import sys
import zlib
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_ray.core.errors import TrackerError
from retail_ray.core.ports import Tracker
from retail_ray.core.types import Detections
from retail_ray.tracking.options import DEFAULT_TRACKER, TRACKER_NAMES, tracker_kind
from retail_ray.tracking.tracker import BoxMotTracker, check_options, create_tracker
from tests.tracking.tracking_scenes import PICTURE, as_rows, boxes_to_detections, run, towncentre_like, walkers

every_tracker = pytest.mark.parametrize("name", TRACKER_NAMES)


def _tracker(name: str = DEFAULT_TRACKER, frame_rate: float = 10.0, **options: object) -> Tracker:
    return create_tracker(name, frame_rate=frame_rate, options=options)


@pytest.fixture(scope="session")
def street(shared_data: Path) -> list[Detections]:
    return towncentre_like(shared_data, 120)


@every_tracker
def test_each_walker_keeps_one_identity_of_their_own(name: str) -> None:
    scene = walkers(people=5, frames=60, miss=0.05)
    ids_of: dict[int, set[int]] = {person: set() for person in range(5)}
    for t, tracks in enumerate(run(_tracker(name), scene.frames)):
        for local_id, row in zip(tracks.local_id.tolist(), tracks.detection_index.tolist(), strict=True):
            ids_of[int(scene.person[t][row])].add(local_id)
    assert all(len(ids) == 1 for ids in ids_of.values()), ids_of
    assert set.union(*ids_of.values()) == {1, 2, 3, 4, 5}


@every_tracker
def test_a_track_is_the_detection_that_fed_it(name: str, street: list[Detections]) -> None:
    fed = 0
    for found, tracks in zip(street, run(_tracker(name), street), strict=True):
        assert len(set(tracks.detection_index.tolist())) == len(tracks)
        np.testing.assert_array_equal(tracks.xyxy_px, found.xyxy_px[tracks.detection_index])
        np.testing.assert_array_equal(tracks.confidence, found.confidence[tracks.detection_index])
        fed += len(tracks)
    assert fed > 300


class _Unpruned(BoxMotTracker):
    def _forget_the_dead(self) -> None:
        """Keep all that BoxMOT keeps."""


@every_tracker
def test_forgetting_the_dead_changes_no_identity(name: str, street: list[Detections]) -> None:
    settings, buffer_s = check_options(name, frame_rate=10, options={"buffer_s": 0.3})
    unpruned = _Unpruned(name, tracker_kind(name), settings, frame_rate=10, buffer_s=buffer_s)
    assert as_rows(run(_tracker(name, buffer_s=0.3), street)) == as_rows(run(unpruned, street))


@every_tracker
def test_two_trackers_in_one_process_do_not_share_ids(name: str) -> None:
    scene = walkers(people=3, frames=20)
    first, second = _tracker(name), _tracker(name)
    alone = as_rows(run(_tracker(name), scene.frames))
    turns = [(first.update(f, PICTURE, t), second.update(f, PICTURE, t)) for t, f in _timed(scene.frames)]
    assert as_rows([a for a, _ in turns]) == as_rows([b for _, b in turns]) == alone
    assert {int(i) for a, _ in turns for i in a.local_id} == {1, 2, 3}


def _timed(frames: list[Detections]) -> list[tuple[int, Detections]]:
    return [(t * 100_000, found) for t, found in enumerate(frames)]


@every_tracker
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 119), min_size=1, max_size=3, unique=True))
def test_split_anywhere_goes_on_as_if_never_stopped(name: str, street: list[Detections], cuts: list[int]) -> None:
    undisturbed = as_rows(run(_tracker(name), street))
    tracker, begin, pieces = _tracker(name), 0, []
    for end in [*sorted(cuts), len(street)]:
        pieces += run(tracker, street[begin:end], first=begin)
        state, tracker, begin = tracker.state(), _tracker(name), end
        tracker.restore(state)
    assert as_rows(pieces) == undisturbed


def test_split_within_a_gap_and_with_seconds_goes_on_as_well(street: list[Detections]) -> None:
    times_us = np.cumsum([90_000 + 20_000 * (t % 2) + 700_000 * (t % 17 == 0) for t in range(len(street))])
    for options in ({}, {"variable_dt": True}):
        whole, first = _tracker(**options), _tracker(**options)
        undisturbed = [whole.update(f, None, int(t)) for f, t in zip(street, times_us, strict=True)]
        head = [first.update(f, None, int(t)) for f, t in zip(street[:51], times_us[:51], strict=True)]
        second = _tracker(**options)
        second.restore(first.state())
        tail = [second.update(f, None, int(t)) for f, t in zip(street[51:], times_us[51:], strict=True)]
        assert as_rows(head + tail) == as_rows(undisturbed)


@every_tracker
def test_a_state_holds_no_functions_however_python_pickles_enumerations(
    name: str, street: list[Detections], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some Pythons (3.11.2 is one) write a member of an enumeration as `getattr` of its class and name."""
    tracker, restored = _tracker(name), _tracker(name)
    run(tracker, street[:20])
    with monkeypatch.context() as older:
        older.setattr(Enum, "__reduce_ex__", lambda member, _protocol: (getattr, (type(member), member.name)))
        state = tracker.state()
    restored.restore(state)
    assert as_rows(run(restored, street[20:40], first=20)) == as_rows(run(tracker, street[20:40], first=20))


def test_the_state_goes_on_in_another_process(street: list[Detections], tmp_path: Path) -> None:
    whole = as_rows(run(_tracker("bytetrack"), street[:60]))
    tracker = _tracker("bytetrack")
    run(tracker, street[:40])
    with (tmp_path / "in.pickle").open("wb") as file:
        pickle.dump((tracker.state(), street[40:60]), file)
    program = (
        "import pickle, sys; from pathlib import Path\n"
        "from retail_ray.tracking.tracker import create_tracker\n"
        "from tests.tracking.tracking_scenes import as_rows, run\n"
        "folder = Path(sys.argv[1]); state, frames = pickle.loads((folder / 'in.pickle').read_bytes())\n"
        "tracker = create_tracker('bytetrack', frame_rate=10.0, options={}); tracker.restore(state)\n"
        "(folder / 'out.pickle').write_bytes(pickle.dumps(as_rows(run(tracker, frames, first=40))))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment, timeout=120)
    assert pickle.loads((tmp_path / "out.pickle").read_bytes()) == whole[40:]


def _longest_array_bytes(pickled: bytes) -> int:
    return max((len(arg) for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, bytes | bytearray)), default=0)


@every_tracker
def test_nothing_of_the_pictures_gets_into_the_state(name: str, street: list[Detections]) -> None:
    """Noise in place of black frames leaves every byte of the state as it was, and no array is as large as one."""
    rng = np.random.default_rng(3)
    black, noise = _tracker(name), _tracker(name)
    for t, found in _timed(street[:40]):
        black.update(found, PICTURE, t)
        noise.update(found, rng.integers(0, 256, PICTURE.shape, np.uint8), t)
    assert noise.state() == black.state()
    assert _longest_array_bytes(zlib.decompress(black.state())) <= 10 * 10 * 8
    assert _longest_array_bytes(pickle.dumps({"picture": PICTURE[:32, :32]}, protocol=5)) > 10 * 10 * 8


def test_with_motion_compensation_no_state_is_given_out(street: list[Detections]) -> None:
    settings, buffer_s = check_options("botsort", frame_rate=10, options={})
    moving = {**settings, "use_cmc": True, "cmc_method": "sof"}
    tracker = BoxMotTracker("botsort", tracker_kind("botsort"), moving, frame_rate=10, buffer_s=buffer_s)
    picture = np.random.default_rng(0).integers(0, 256, PICTURE.shape, np.uint8)
    tracker.update(street[0], picture, 0)
    with pytest.raises(TrackerError, match="would hold pixels"):
        tracker.state()
    with pytest.raises(TrackerError, match="needs the picture of every frame"):
        tracker.update(street[1], None, 100_000)


@every_tracker
def test_the_state_stays_small_over_ten_thousand_frames(name: str) -> None:
    """Noise that starts a new track in most frames: nothing may pile up."""
    frames = 10_000 if name == DEFAULT_TRACKER else 1_500
    rng = np.random.default_rng(1)
    tracker, largest = _tracker(name, buffer_s=1.0), []
    for t in range(frames):
        x, y = rng.uniform(0, 1100), rng.uniform(0, 500)
        box = np.array([[x, y, x + 60, y + 150]])
        tracker.update(boxes_to_detections(np.vstack([box, box + 2])[: t % 3]), PICTURE, t * 100_000)
        if t % 100 == 50:
            largest.append(len(tracker.state()))
    middle = len(largest) // 2
    assert max(largest[middle:]) < 1.3 * max(largest[:middle])
    assert max(largest) < 64_000


@every_tracker
def test_a_short_gap_keeps_identities_and_a_long_one_starts_anew(name: str) -> None:
    standing = boxes_to_detections(np.array([[100.0, 100, 160, 250], [600, 100, 660, 250]]))
    tracker = _tracker(name, buffer_s=2.0)
    before = [tracker.update(standing, PICTURE, t * 100_000) for t in range(10)][-1]
    after_gap = [tracker.update(standing, PICTURE, 900_000 + 1_500_000 + t * 100_000) for t in range(5)][-1]
    assert after_gap.local_id.tolist() == before.local_id.tolist() == [1, 2]
    resumed_us = 900_000 + 1_500_000 + 400_000 + 2_100_000
    after_night = [tracker.update(standing, PICTURE, resumed_us + t * 100_000) for t in range(5)][-1]
    assert after_night.local_id.tolist() == [3, 4]


def test_the_buffer_is_seconds_at_every_rate() -> None:
    person = boxes_to_detections(np.array([[100.0, 100, 160, 250]]))
    nobody = Detections.empty()
    for rate in (5.0, 10.0, 30.0):
        for away_s, same in ((1.6, True), (2.6, False)):
            tracker = _tracker(frame_rate=rate, buffer_s=2.0)
            interval_us = round(1e6 / rate)
            script = [person] * 10 + [nobody] * round(away_s * rate) + [person] * 5
            last = [tracker.update(found, None, t * interval_us) for t, found in enumerate(script)][-1]
            assert last.local_id.tolist() == ([1] if same else [2]), (rate, away_s)


def test_a_person_is_predicted_across_dropped_frames() -> None:
    """Two people pass each other while the camera's chunk is lost: only motion tells them apart."""

    def crossing(t: float) -> Detections:
        left, right = 100 + 25 * t, 900 - 25 * t
        return boxes_to_detections(np.array([[left, 100, left + 90, 330], [right, 100, right + 90, 330]]))

    tracker = _tracker()
    before = [tracker.update(crossing(t), None, t * 100_000) for t in range(13)][-1]
    after = [tracker.update(crossing(t), None, t * 100_000) for t in range(20, 24)][-1]
    order_before = dict(zip(before.detection_index.tolist(), before.local_id.tolist(), strict=True))
    order_after = dict(zip(after.detection_index.tolist(), after.local_id.tolist(), strict=True))
    assert order_after == order_before


@pytest.mark.parametrize("interval_us", [166_667, 333_333, 500_000])
def test_a_source_slower_than_the_analysis_rate_is_tracked(interval_us: int) -> None:
    """6, 3 or 2 frames/s where 10 were promised: the intervals are no gaps, or no track would ever be confirmed."""
    scene = walkers(people=3, frames=20)
    tracks = run(_tracker(frame_rate=10.0), scene.frames, interval_us=interval_us)
    assert [len(t) for t in tracks[5:]] == [3] * 15
    assert len({int(i) for t in tracks[5:] for i in t.local_id}) == 3


@every_tracker
@pytest.mark.parametrize("step_us", [0, -100_000])
def test_time_that_does_not_advance_is_refused(name: str, step_us: int) -> None:
    tracker = _tracker(name)
    tracker.update(Detections.empty(), PICTURE, 1_000_000)
    with pytest.raises(TrackerError, match=f"'{name}'.*1000000 us"):
        tracker.update(Detections.empty(), PICTURE, 1_000_000 + step_us)


@every_tracker
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_wild_boxes_never_break_it_nor_come_out_doubled(name: str, seed: int) -> None:
    """Empty, reversed, huge, tiny, equal and outside boxes with every confidence."""
    rng = np.random.default_rng(seed)
    tracker = _tracker(name)
    for t in range(12):
        n = int(rng.integers(0, 7))
        boxes = rng.choice([-1e4, -5.0, 0.0, 0.5, 1.0, 30.0, 700.0, 5000.0], (n, 4))
        tracks = tracker.update(boxes_to_detections(boxes, rng.choice([0, 0.1, 0.5, 1], n)), PICTURE, t * 100_000)
        assert (tracks.xyxy_px[:, 2:] > tracks.xyxy_px[:, :2]).all()
        assert len(set(tracks.detection_index.tolist())) == len(tracks)


def test_ids_survive_when_boxmots_own_run_out(street: list[Detections]) -> None:
    """BoxMOT hands ids on as float32, which cannot tell 2**24 from 2**24 + 1."""
    tracker = _tracker()
    assert len(tracker.update(street[0], None, 0))
    tracker._inner.id_allocator.next_id = 2**24
    with pytest.raises(TrackerError, match="idle"):
        tracker.update(street[1], None, 100_000)
    tracker = _tracker()
    tracker._inner.id_allocator.next_id = 2**22
    first = tracker.update(walkers(frames=1).frames[0], None, 0)
    assert first.local_id.tolist() == [1, 2, 3, 4, 5]
    for t in range(1, 25):
        tracker.update(Detections.empty(), None, t * 100_000)
    again = [tracker.update(walkers(frames=1).frames[0], None, t) for t in (2_500_000, 2_600_000)][-1]
    assert again.local_id.tolist() == [6, 7, 8, 9, 10]
    assert tracker._inner.id_allocator.next_id < 100


def test_sfsort_without_any_picture_says_what_it_needs() -> None:
    with pytest.raises(TrackerError, match="'sfsort' needs the picture of the first frame"):
        _tracker("sfsort").update(Detections.empty(), None, 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bytetrak", "did you mean 'bytetrack'.*known are bytetrack, botsort"),
        ("ByteTrack", "unknown tracker 'ByteTrack'"),
        ("strongsort", "embedding of every box.*choose one of bytetrack"),
        ("deepocsort", "is OC-SORT"),
        ("sam2mot", "mask of every box"),
    ],
)
def test_an_unknown_or_unusable_tracker_is_refused_with_the_reason(name: str, said: str) -> None:
    with pytest.raises(TrackerError, match=said):
        create_tracker(name, frame_rate=10, options={})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("bytetrack", {"track_tresh": 0.5}, "option 'track_tresh' is unknown, did you mean 'track_thresh'.*known are"),
        ("ocsort", {"match_thresh": 0.5}, "option 'match_thresh' is unknown"),
        ("bytetrack", {"track_thresh": "high"}, "must be a float such as 0.4, found 'high'"),
        ("bytetrack", {"track_thresh": 40}, r"must be in \[0, 1\], found 40"),
        ("bytetrack", {"track_thresh": True}, "must be a float"),
        ("bytetrack", {"track_thresh": float("nan")}, "must be a float"),
        ("ocsort", {"use_byte": 1}, "must be a bool"),
        ("ocsort", {"delta_t": 1.5}, "must be a int"),
        ("bytetrack", {"track_buffer": 30}, "counts frames; give buffer_s in seconds"),
        ("bytetrack", {"buffer_s": 0}, r"must be in \(0, 60\] seconds"),
        ("bytetrack", {"frame_rate": 30}, "follows from the camera's analysis rate"),
        ("botsort", {"use_cmc": True}, "cameras are fixed"),
        ("botsort", {"use_embeddings": True}, "in the gallery instead"),
    ],
)
def test_an_impossible_option_is_refused_with_the_reason(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(TrackerError, match=said) as error:
        create_tracker(name, frame_rate=10, options=options)
    assert f"tracker '{name}', option '{next(iter(options))}'" in str(error.value)


@pytest.mark.parametrize("frame_rate", [0, -1, float("nan"), 5000])
def test_an_impossible_frame_rate_is_refused(frame_rate: float) -> None:
    with pytest.raises(TrackerError, match="frame_rate must be in"):
        create_tracker("bytetrack", frame_rate=frame_rate, options={})


def test_options_reach_boxmot() -> None:
    doubtful = boxes_to_detections(np.array([[100.0, 100, 160, 250]]), 0.35)
    for threshold, seen in ((0.3, 1), (0.5, 0)):
        tracker = _tracker("bytetrack", track_thresh=threshold)
        assert len([tracker.update(doubtful, None, t * 100_000) for t in range(5)][-1]) == seen


def test_checking_options_does_not_load_torch() -> None:
    program = (
        "import sys; from retail_ray.tracking.tracker import check_options, create_tracker\n"
        "check_options('bytetrack', frame_rate=10, options={'buffer_s': 3})\n"
        "assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)
    assert check_options("bytetrack", frame_rate=10, options={"buffer_s": 3})[0]["track_buffer"] == 30


def test_a_state_of_another_tracker_rate_or_setting_is_refused() -> None:
    state = _tracker("bytetrack").state()
    for other, said in (
        (_tracker("botsort"), "tracker 'bytetrack', this tracker 'botsort'"),
        (_tracker("bytetrack", frame_rate=5), "interval_us 100000, this tracker 200000"),
        (_tracker("bytetrack", track_thresh=0.5), "settings"),
    ):
        with pytest.raises(TrackerError, match=said):
            other.restore(state)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_state_is_refused_and_leaves_the_tracker_as_it_was(data: st.DataObject) -> None:
    scene = walkers(people=3, frames=12)
    tracker = _tracker()
    run(tracker, scene.frames[:8])
    plain = zlib.decompress(tracker.state())
    kind = data.draw(st.sampled_from(["cut", "noise", "cut inside"]))
    cut = data.draw(st.integers(0, len(plain) - 1))
    damaged = {
        "cut": tracker.state()[: cut % (len(tracker.state()) - 1)],
        "noise": data.draw(st.binary(max_size=200)),
        "cut inside": zlib.compress(plain[:cut]),
    }[kind]
    undisturbed = _tracker()
    run(undisturbed, scene.frames[:8])
    with pytest.raises(TrackerError, match=r"cannot be read|is not a tracker's state"):
        tracker.restore(damaged)
    assert as_rows(run(tracker, scene.frames[8:], first=8)) == as_rows(run(undisturbed, scene.frames[8:], first=8))


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    "value",
    [_Harmful(), {"inner": {"x": _Harmful()}}, {"inner": {"x": np.save}}, {"inner": {"x": subprocess.Popen}}, [1, 2]],
)
def test_a_state_runs_no_foreign_code(value: object) -> None:
    buffer = io.BytesIO()
    pickle.dump(value, buffer)
    with pytest.raises(TrackerError, match=r"does not belong|is not a tracker's state"):
        _tracker().restore(zlib.compress(buffer.getvalue()))
