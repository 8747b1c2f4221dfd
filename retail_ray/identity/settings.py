"""What the gallery can be told, with units, and what it tells about itself."""

from __future__ import annotations

from dataclasses import dataclass

from retail_ray.core.errors import ConfigError
from retail_ray.core.ticks import BufferCounts


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """How people are told apart. Evidence is counted in nats: the natural log of how many times likelier one person is
    than two."""

    tick_s: float = 0.5
    """Length of a tick of event time."""
    settle_s: float = 1.0
    """How long a tracklet gathers evidence before its first decision."""
    embedding_wait_s: float = 2.0
    """How long a tracklet without any embedding waits before it is decided by the floor alone."""
    defer_limit_s: float = 3.0
    """How long an unclear decision is put off; after that the tracklet is a new person."""
    min_margin: float = 1.0
    """Lead in nats over the next best person that a link needs at once; a smaller one defers the decision."""
    gone_s: float = 1.0
    """A tracklet unseen for so long is decided with what is known."""
    memory_s: float = 120.0
    """How long ended tracklets are compared in full; later a person is known by looks and last place."""
    memory_tracklets: int = 2500
    """Most tracklets that are compared in full: in a crowd the oldest ended ones leave sooner."""
    revise_s: float = 5.0
    """Event time between two searches for links to correct."""
    revise_margin: float = 1.0
    """Gain in nats that a correction needs."""
    evidence_worth: float = 0.4
    """What a nat says of the probability of a link: pieces of evidence are alike, so that their sum says too much.
    Fitted to the links of development stores."""
    newcomer_share: float = 0.3
    """Share of newcomers among the tracklets that begin at an entrance, until the site's own is known."""
    newcomer_prior_tracklets: float = 30.0
    """What that counts as, in tracklets, beside those seen on this site; infinite: nothing is learnt."""
    false_merge_budget: float = 0.1
    """Share of links that may be wrong: one that is likelier wrong than that is not made."""

    max_speed_m_s: float = 3.0
    """Nobody moves faster on the floor."""
    reach_slack_m: float = 1.0
    """Error allowed to foot points on top of what their covariance says, when speed is judged."""
    place_sigma_m: float = 0.3
    """Error of a place beside its covariance: posture, box noise, clocks of two cameras that differ."""
    outlier_share: float = 0.05
    """Share of places that are nowhere near the truth."""
    neighbourhood_m2: float = 20.0
    """Two people who are near each other are so by chance within this area."""
    tick_weight: float = 0.1
    """Worth of twice as many ticks, beside the mean of them all: the errors of ticks are alike."""
    place_lenience: float = 1.0
    """Nats for one person on top of the mean tick: an error of a foot lasts, a neighbour moves on."""
    floor_limit: float = 8.0
    """Most that the floor may say for two tracklets."""
    floor_doubt: float = 4.0
    """Most that it may say against them: feet that are hidden mislead for long."""
    concurrent_cost: float = 5.0
    """Nats against two tracklets that one camera sees at once: doubled boxes are rare."""
    concurrent_limit: float = 9.0
    """Most that being seen at once by one camera may say."""
    wander_m_s: float = 0.7
    """How far people get from where they were last seen, per second unseen."""
    absence_cost: float = 0.7
    """Nats against somebody out of sight for 1.7 s, twice as many for 6.4 s: who is in the store is mostly seen."""
    transit_limit: float = 4.0
    """Most that a way between two sightings may say."""
    transit_doubt: float = 7.0
    """Most that it may say against them, once the site's own ways are known."""
    transit_prior_pairs: float = 20.0
    """What the floor's distance counts as, in ways, beside those seen on this site; infinite: nothing is learnt."""
    birth_cost: float = 3.0
    """Nats against a person who turns up away from every entrance."""
    entrance_m: float = 1.5
    """Within this distance of an entrance people come and go."""
    opening_s: float = 3.0
    """Whoever is there when a session begins has come before."""

    same_looks: tuple[float, float] = (0.2, 0.1)
    """Mean and deviation of the likeness of one person's tracklets, above what the two cameras' people have anyway."""
    different_looks: tuple[float, float] = (-0.01, 0.075)
    """The same for two people."""
    usual_likeness: float = 0.56
    """Cosine of two different people, until the site's own are known."""
    looks_limit: float = 6.0
    """Most that looks may say for or against two tracklets."""
    calibrate_s: float = 30.0
    """Event time between two measurements of the site's own likeness."""

    doubt_share: float = 0.05
    """A camera is doubted when fewer of its sightings in motion have a partner in the cameras that look there."""
    doubt_after: float = 300.0
    """Sightings that must be owed a partner before a camera is judged."""

    prototypes: int = 10
    """Embeddings kept per tracklet beside its mean."""
    prototype_similarity: float = 0.9
    """An embedding this close to a kept prototype adds nothing and is not kept."""
    person_prototypes: int = 40
    """Embeddings kept per person."""
    search_neighbours: int = 64
    """Prototypes of people out of memory looked up per tracklet."""
    faiss_threads: int = 1

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not value >= 0:
                raise ConfigError(f"gallery: {name} must not be negative, found {value}")
        for name in (
            "tick_s",
            "faiss_threads",
            "search_neighbours",
            "revise_s",
            "false_merge_budget",
            "memory_tracklets",
            "newcomer_share",
            "newcomer_prior_tracklets",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"gallery: {name} must be above zero, found {getattr(self, name)}")
        if not self.newcomer_share < 1:
            raise ConfigError(f"gallery: newcomer_share must be below one, found {self.newcomer_share}")
        for name in ("same_looks", "different_looks"):
            if not getattr(self, name)[1] > 0:
                raise ConfigError(f"gallery: {name} needs a deviation above zero, found {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class CameraAgreement:
    """Sightings in motion of one camera that another one should have seen, and those that it has seen; old ones are
    forgotten. contradiction: in words, empty while the camera is trusted."""

    camera_id: str
    owed: float
    agreed: float
    contradiction: str = ""


@dataclass(frozen=True, slots=True)
class GalleryLive:
    """The gallery as of `worked_until_us`.

    identities: people of this session so far. present: those seen within the last 2 s. waiting: tracklets that
    are not decided yet. calibration: how often likeness was measured anew on this site.
    """

    session_id: str | None
    worked_until_us: int
    identities: int
    present: int
    waiting: int
    counts: BufferCounts
    calibration: int = 0
    agreement: tuple[CameraAgreement, ...] = ()
