"""How many of the tracklets that begin at an entrance are somebody new, learnt on the site.

Where tracklets break often, most that begin there are of people who are known; where they hold, hardly any. The share
is that of a mixture whose parts the evidence tells apart, found by expectation maximisation (Dempster, Laird, Rubin,
1977) over the tracklets that were decided last.
"""

from __future__ import annotations

import numpy as np

from retail_ray.identity.evidence import Flags, Floats
from retail_ray.identity.settings import GallerySettings

_COULD_BE = 20.0
"""Before any evidence, everybody known together counts as so many people who can be meant with equal right: most are
seen elsewhere, or have long gone. Fitted to the new people of development stores."""
_LAST = 500
_ROUNDS = 60


class Newcomers:
    """share: of newcomers among tracklets at entrances, as of now."""

    def __init__(self, settings: GallerySettings) -> None:
        self._shipped, self._worth = settings.newcomer_share, settings.newcomer_prior_tracklets
        self._known = np.zeros(0)
        self.share = self._shipped

    def nats(self, enters: Flags) -> Floats:
        """(T,) nats for somebody new before any evidence.

        enters: (T,) tracklets that begin at an entrance; of the others nothing is known beforehand.
        """
        return np.where(enters, np.log(_COULD_BE * self.share / (1.0 - self.share)), 0.0)

    def learn(self, score: Floats) -> None:
        """score: (T, P) nats of tracklets at entrances, which are decided, for being each person."""
        if not len(score):
            return
        known = np.exp(np.clip(score, -700.0, 60.0)).sum(axis=1) / _COULD_BE
        self._known = np.concatenate([self._known, known])[-_LAST:]
        self._measure()

    def _measure(self) -> None:
        share = self._shipped
        for _ in range(_ROUNDS if np.isfinite(self._worth) else 0):
            new = share / (share + (1.0 - share) * self._known)
            share = float((self._shipped * self._worth + new.sum()) / (self._worth + len(new)))
        self.share = share

    def state(self) -> bytes:
        return self._known.tobytes()

    def restore(self, state: bytes) -> None:
        self._known = np.frombuffer(state, np.float64)
        self._measure()
