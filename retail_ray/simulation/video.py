"""A simulated store as video: one clip per camera, its exact truth, and a site.yaml that analyses them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from retail_ray.core.errors import ConfigError, LakeError
from retail_ray.core.time import to_us
from retail_ray.lake.truth import TRUTH_FIELDS, TruthOf, write_truth
from retail_ray.simulation.camera_clip import ClipOrder, ClipTruth, make_clip
from retail_ray.simulation.degrade import draw_faults
from retail_ray.simulation.happenings import happenings
from retail_ray.simulation.scenario import Scenario, simulate
from retail_ray.simulation.settings import ScenarioSettings
from retail_ray.simulation.site_file import site_document, write_site
from retail_ray.simulation.store import StorePlan
from retail_ray.simulation.video_settings import VideoSettings


@dataclass(frozen=True, slots=True)
class SimulatedVideo:
    """What was written."""

    site_path: Path
    truth_dir: Path
    clips: tuple[Path, ...]
    people: int
    renderer: str


def simulate_video(
    plan: StorePlan,
    scenario: ScenarioSettings,
    video: VideoSettings,
    seed: int,
    out: Path,
    *,
    site_id: str | None = None,
    segmented: Sequence[str] = (),
    on_clip: Callable[[str, int, int], None] | None = None,
) -> SimulatedVideo:
    """Write `out`/site.yaml, clips/, truth/ and mot/; `on_clip` hears of each finished camera.

    Raises ConfigError where `out` holds something already, GeometryError where no camera sees a door.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: not empty; give a new folder, or delete it first")
    played = simulate(plan, scenario, seed)
    orders = clip_orders(plan, played, video, seed, out / "clips")
    recordings = {
        order.camera.id: (
            f"clips/{order.path.name}",
            video.start + timedelta(microseconds=order.faults.clock_error_us),
        )
        for order in orders
    }
    named = site_id or f"sim-{plan.name}-{seed}".replace(":", "-")
    size_hw = (video.height_px, video.width_px)
    document = site_document(
        plan, named, size_hw, recordings, timezone=video.timezone, analysis_fps=video.fps, segmented=segmented
    )
    try:
        (out / "clips").mkdir(parents=True, exist_ok=True)
        clips = _make_all(orders, video.processes, on_clip)
        write_site(out / "site.yaml", document)
        start_us = to_us(video.start)
        end_us = start_us + round(played.crowd.duration_s * 1e6)
        described = {"scenario": asdict(scenario), "video": asdict(video) | {"start": video.start.isoformat()}}
        del described["video"]["processes"]
        described |= {"faults": {order.camera.id: asdict(order.faults) for order in orders}}
        of = TruthOf(named, plan.name, seed, start_us, end_us, described)
        write_truth(out / "truth", of, happenings(played, start_us) | _clip_tables(clips))
        for clip in clips:
            _write_mot(out / "mot" / clip.camera_id, clip)
    except OSError as error:
        raise LakeError(f"{out}: cannot write the simulation: {error}") from error
    drawn_by = "+".join(sorted({clip.renderer for clip in clips}))
    paths = tuple(order.path for order in orders)
    return SimulatedVideo(out / "site.yaml", out / "truth", paths, len(played.crowd.people), drawn_by)


def clip_orders(plan: StorePlan, played: Scenario, video: VideoSettings, seed: int, folder: Path) -> list[ClipOrder]:
    """What is drawn of each camera, in the plan's order; clips go into `folder`."""
    orders = []
    for number, camera in enumerate(plan.cameras):
        own = int(np.random.default_rng([seed, number, 7]).integers(2**31))
        orders.append(
            ClipOrder(
                plan=plan,
                camera=camera,
                crowd=played.crowd,
                faults=draw_faults(np.random.default_rng(own), video.severity),
                seed=own,
                size_hw=(video.height_px, video.width_px),
                fps=video.fps,
                start_us=to_us(video.start),
                mask_every_s=video.mask_every_s,
                renderer=video.renderer,
                path=folder / f"{camera.id}.mp4",
                about=f"layout {plan.name}, seed {seed}, camera {camera.id}",
            )
        )
    return orders


def _make_all(
    orders: Sequence[ClipOrder], processes: int, on_clip: Callable[[str, int, int], None] | None
) -> list[ClipTruth]:
    """All clips, in the order of the orders; processes of their own because OpenGL contexts do not share."""
    workers = min(len(orders), processes or len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(make_clip, order): order.camera.id for order in orders}
        for done, finished in enumerate(as_completed(waiting), start=1):
            finished.result()
            if on_clip is not None:
                on_clip(waiting[finished], done, len(orders))
        return [future.result() for future in waiting]


def _clip_tables(clips: Sequence[ClipTruth]) -> dict[str, dict[str, Any]]:
    return {
        table: {
            field: [value for clip in clips for value in getattr(clip, table).get(field, ())]
            for field in TRUTH_FIELDS[table]
        }
        for table in ("frames", "boxes", "masks")
    }


def _write_mot(folder: Path, clip: ClipTruth) -> None:
    """MOTChallenge text: frame and id from 1, visible box, visible share."""
    folder.mkdir(parents=True)
    names = ("frame_index", "person_id", "x1_px", "y1_px", "x2_px", "y2_px", "visible_share")
    rows = zip(*(clip.boxes.get(name, ()) for name in names), strict=True)
    lines = [
        f"{frame + 1},{person},{x1},{y1},{x2 - x1},{y2 - y1},1,1,{share:.3f}"
        for frame, person, x1, y1, x2, y2, share in rows
    ]
    (folder / "gt.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
