"""What a lake without video is simulated with: opening hours, cameras, and how imperfectly they see."""

from __future__ import annotations

from dataclasses import dataclass, field

from retail_ray.core.errors import ConfigError
from retail_ray.core.time import US_PER_S


@dataclass(frozen=True, slots=True)
class SightSettings:
    """How cameras, detector and tracker err.

    full_height_px, full_share: a person at least this tall and this visible is found in `best_recall` of the frames.
    box_sigma_share: noise of a box's edges as a share of its height. max_gap_s: longest time unseen within one
    tracklet. breaks_per_hour: tracklets cut without cause per tracked hour. min_frames: shorter tracks are no
    tracklets. clutter_per_hour: boxes on things that are nobody, per camera. dropped_share: frames lost one by one.
    outages_per_day: mean number of holes of a camera, of `outage_s` at most each.
    """

    full_height_px: float = 60.0
    full_share: float = 0.5
    best_recall: float = 0.97
    box_sigma_share: float = 0.015
    max_gap_s: float = 2.0
    breaks_per_hour: float = 12.0
    min_frames: int = 3
    clutter_per_hour: float = 20.0
    dropped_share: float = 0.001
    outages_per_day: float = 0.4
    outage_s: float = 600.0


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """How identification errs, per tracklet after a person's first.

    fragments: taken for a new person for good. late_merges: taken for a new person, found out `repair_s` later.
    late_splits: taken for somebody else in the shop, found out `repair_s` later.
    """

    fragments: float = 0.0005
    late_merges: float = 0.004
    late_splits: float = 0.002
    repair_s: float = 20.0
    gap_s: float = 10.0


@dataclass(frozen=True, slots=True)
class AlertRules:
    """Two limits for each rule: raised when `for_minutes` in a row are at least at the first one, cleared when as many
    are below the second one.
    """

    queue_length: tuple[float, float] = (4.0, 2.0)
    wait_s: tuple[float, float] = (240.0, 120.0)
    occupancy: tuple[float, float] = (60.0, 50.0)
    camera_frames_missing: tuple[float, float] = (0.9, 0.1)
    for_minutes: int = 2


@dataclass(frozen=True, slots=True)
class EventSettings:
    """start_us: event time at which the data begins. hours: how long it is. visitors: who come on a whole business
    day, about. open_from_h, open_until_h: local hours after midnight. fps, source_fps: frames per second that are
    analysed, and that the camera has. heat_cell_m: side of a square of the heat map. epoch_s: event time that is
    committed as a whole.
    """

    start_us: int
    hours: float
    visitors: int = 1500
    timezone: str = "Europe/Rome"
    open_from_h: float = 8.0
    open_until_h: float = 21.0
    fps: int = 5
    source_fps: int = 25
    frame_hw_px: tuple[int, int] = (720, 1280)
    heat_cell_m: float = 0.5
    epoch_s: int = 3600
    sight: SightSettings = field(default_factory=SightSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    alerts: AlertRules = field(default_factory=AlertRules)

    def __post_init__(self) -> None:
        if not 0 < self.hours <= 24 * 31:
            raise ConfigError(f"hours must lie above 0 and be at most {24 * 31}, found {self.hours:g}")
        if self.visitors < 1:
            raise ConfigError(f"at least 1 visitor is needed, found {self.visitors}")

    @property
    def end_us(self) -> int:
        return self.start_us + round(self.hours * 3600 * US_PER_S)

    @property
    def frame_us(self) -> int:
        return US_PER_S // self.fps
