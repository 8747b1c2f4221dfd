"""What the cameras of one case tell the gallery, recorded once, so that galleries get the same tracklets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.seeds import Case
from benchmarks.simulated import with_identities
from benchmarks.studio import Studio
from retail_ray.config import Site
from retail_ray.core.event_time import CameraView
from retail_ray.core.identity_map import IdentityMap, TrackletKey
from retail_ray.core.records import IdentityEvent
from retail_ray.core.types import Observations
from retail_ray.evaluation.scene import Scene
from retail_ray.runtime.build_site import camera_views
from retail_ray.runtime.crew import Experiment


@dataclass(frozen=True)
class Stream:
    """One recorded case. messages: of all cameras, each camera's in order. scene: its lake, held against the truth."""

    case: Case
    site: Site
    cameras: tuple[CameraView, ...]
    messages: tuple[Observations, ...]
    scene: Scene

    @property
    def end_us(self) -> int:
        return max(int(message.watermark_us) for message in self.messages)

    def keys(self) -> list[TrackletKey]:
        """(camera, local id) of the scene's tracklets, in its order."""
        rows = self.scene.rows
        return list(zip(rows.camera_of_tracklet, rows.local_id_of_tracklet, strict=True))

    def scored(self, identity_of: Mapping[TrackletKey, int]) -> Scene:
        """The scene as these identities would make it; a tracklet without one stands for itself."""
        return with_identities(self.scene, np.array([identity_of.get(key, -1) for key in self.keys()], np.int64))


def record(studio: Studio, name: str, site: Site | None = None) -> Stream:
    """Run the cameras of a case over recorded answers of the networks, and keep what they say. site: another one."""
    heard = list[Observations]()
    scene = studio.scene(name, Experiment(studio.recorded, heard=heard.append), site)
    studio.keep()
    used = site or studio.site
    starts_us = {camera.id: camera.recorded_at_us or 0 for camera in used.cameras}
    return Stream(studio.case, used, tuple(camera_views(used, starts_us)), tuple(heard), scene)


def resolved(events: Sequence[IdentityEvent], *, emitted: bool = False) -> dict[TrackletKey, int]:
    """Identity of each tracklet after all events; `emitted`: as first decided, whatever was corrected later."""
    known = IdentityMap()
    known.apply_all(event for event in events if not emitted or event.kind in {"session", "create", "assign"})
    numbered = enumerate(sorted(known.members.items()))
    return {key: number for number, (_, links) in numbered for key in links}
