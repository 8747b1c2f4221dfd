"""What the gallery can be told, with units, and what it tells about itself."""

from __future__ import annotations

from dataclasses import dataclass

from retail_ray.core.errors import ConfigError
from retail_ray.core.event_time import BufferCounts


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """Defaults are for OSNet embeddings, uncalibrated to any site.

    A tracklet's score for a person is its appearance cosine plus `floor_weight` × floor agreement (seen at the
    same place by another camera) or `stitch_weight` × closeness (its camera lost the person near by, just before).
    """

    tick_s: float = 0.5
    """Length of a tick of event time."""
    accept: float = 0.8
    """Lowest score of a link; below it a tracklet is a new person."""
    min_margin: float = 0.04
    """Lead over the next best person that a link needs at once; a smaller one defers the decision."""
    settle_s: float = 1.0
    """How long a tracklet with an embedding gathers evidence before its first decision."""
    embedding_wait_s: float = 5.0
    """How long a tracklet without any embedding waits before it is decided by the floor alone."""
    defer_limit_s: float = 3.0
    """How long an unclear decision is put off; after that the tracklet is a new person."""
    gone_s: float = 1.0
    """A tracklet unseen for so long is decided with what is known."""
    memory_s: float = 60.0
    """How long ended tracklets of a person are kept in full; of older ones only the last place stays."""
    max_speed_m_s: float = 3.0
    """Nobody moves faster on the floor."""
    reach_slack_m: float = 1.0
    """Error allowed to foot points on top of what their covariance says, when speed is judged."""
    agree_m: float = 1.5
    """Two cameras that see one person at once place them no farther apart (plus two standard deviations)."""
    agree_max_m: float = 3.0
    """Upper limit of that distance, however uncertain the foot points are."""
    floor_weight: float = 0.5
    stitch_weight: float = 0.15
    stitch_gap_s: float = 5.0
    """Longest gap over which closeness within one camera counts."""
    unknown_appearance: float = 0.5
    """Stands for the cosine where one side has no embedding, so that the floor alone can decide."""
    prototypes: int = 10
    """Embeddings kept per tracklet beside its mean."""
    prototype_similarity: float = 0.9
    """An embedding this close to a kept prototype adds nothing and is not kept."""
    person_prototypes: int = 40
    """Embeddings kept per person."""
    search_neighbours: int = 256
    """Prototypes looked up per tracklet; exact while the gallery holds no more."""
    faiss_threads: int = 1

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) >= 0:
                raise ConfigError(f"gallery: {name} must not be negative, found {getattr(self, name)}")
        if self.tick_s == 0 or self.faiss_threads == 0 or self.search_neighbours == 0:
            raise ConfigError("gallery: tick_s, faiss_threads and search_neighbours must be above zero")


@dataclass(frozen=True, slots=True)
class GalleryLive:
    """The gallery as of `worked_until_us`.

    identities: people of this session so far. present: those seen within the last 2 s. waiting: tracklets that
    are not decided yet.
    """

    session_id: str | None
    worked_until_us: int
    identities: int
    present: int
    waiting: int
    counts: BufferCounts
