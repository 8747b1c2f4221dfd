"""How long things last where some are still going on: Kaplan and Meier's estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import DataError

Floats = NDArray[np.float64]
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Survival:
    """Steps of the curve: at_s (K,) increasing, share (K,) still going on from then on, low and high (K,) its 95 %
    interval. cut_s: lengths of those that were cut off."""

    at_s: Floats
    share: Floats
    low: Floats
    high: Floats
    cut_s: Floats

    def quantile_s(self, share: float) -> float | None:
        """When this share has ended; None where the curve does not get that far."""
        reached = np.flatnonzero(self.share <= 1 - share + 1e-9)
        return float(self.at_s[reached[0]]) if len(reached) else None


def survival(length_s: Floats, ended: NDArray[np.bool_]) -> Survival:
    """length_s, ended: (N,). Kaplan and Meier, J. Am. Stat. Assoc. 53 (1958); interval after Greenwood on the
    log-log scale (Kalbfleisch and Prentice). DataError for negative or unknown lengths.
    """
    if not (np.isfinite(length_s).all() and (length_s >= 0).all()):
        raise DataError("survival: lengths must be known and not negative")
    at_s = np.unique(length_s[ended])
    at_risk = (length_s[None, :] >= at_s[:, None]).sum(axis=1)
    ending = (length_s[ended][None, :] == at_s[:, None]).sum(axis=1)
    share = np.cumprod(1 - ending / at_risk)
    staying = at_risk - ending
    variance = np.cumsum(np.divide(ending, at_risk * staying, out=np.full(len(at_s), np.inf), where=staying > 0))
    inner = (share > 0) & (share < 1)
    low, high = share.copy(), share.copy()
    log_share = np.log(share[inner])
    spread = _NORMAL_95 * np.sqrt(variance[inner]) / -log_share
    low[inner], high[inner] = share[inner] ** np.exp(spread), share[inner] ** np.exp(-spread)
    return Survival(at_s, share, low, high, np.sort(length_s[~ended]))
