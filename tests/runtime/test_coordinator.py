"""Epochs are committed once, in order, and only when every camera is past them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from retail_ray.runtime.coordinator import CameraProgress, Coordinator

AHEAD = 2


@st.composite
def epochs_of_cameras(draw: st.DrawFn) -> dict[str, list[int]]:
    """Which epochs each camera has frames in; cameras may begin late, end early, pause, or have nothing."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    return {name: sorted(draw(st.sets(st.integers(0, 12), max_size=8))) for name in names}


@given(epochs_of_cameras(), st.randoms(use_true_random=False))
def test_any_scheduling_commits_every_epoch_once_and_in_order(cameras: dict[str, list[int]], random: object) -> None:
    left = {name: list(epochs) for name, epochs in cameras.items()}
    coordinator = Coordinator({name: CameraProgress(e[0] if e else None) for name, e in left.items()}, AHEAD)
    working: list[tuple[str, int]] = []
    committed: list[int] = []
    while not coordinator.done:
        for name, epoch in coordinator.may_start():
            assert epoch == left[name][0]
            behind = [epochs[0] for epochs in left.values() if epochs]
            assert epoch <= min([*behind, *(e for _, e in working)]) + AHEAD
            coordinator.started(name)
            working.append((name, epoch))
        name, epoch = working.pop(random.randrange(len(working)))  # type: ignore[attr-defined]
        left[name].pop(0)
        coordinator.finished(name, epoch, left[name][0] if left[name] else None)
        while (ready := coordinator.ready()) is not None:
            assert all(not epochs or epochs[0] > ready for epochs in left.values())
            committed.append(ready)
            coordinator.committed(ready)
    assert committed == sorted({epoch for epochs in cameras.values() for epoch in epochs})


def test_a_slow_camera_holds_the_others_back() -> None:
    coordinator = Coordinator({"slow": CameraProgress(0), "fast": CameraProgress(0)}, AHEAD)
    for name, _ in coordinator.may_start():
        coordinator.started(name)
    for epoch in range(3):
        coordinator.finished("fast", epoch, epoch + 1)
        assert coordinator.may_start() == ([("fast", epoch + 1)] if epoch < AHEAD else [])
        coordinator.started("fast")
    assert coordinator.ready() is None
