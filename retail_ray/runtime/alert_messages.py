"""One alert as it is sent to somebody outside of the lake."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from retail_ray.core.retail_records import Alert, Severity
from retail_ray.core.time import from_us

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """An alert with the site and run that it comes from."""

    site_id: str
    run_id: str
    alert: Alert

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this change of state, also after a restart."""
        return f"{self.alert.dedup_key}@{self.alert.time_us}"

    def body(self) -> dict[str, Any]:
        """JSON-ready; a value that is no finite number is null."""
        alert = self.alert
        return {
            "idempotency_key": self.idempotency_key,
            "site_id": self.site_id,
            "run_id": self.run_id,
            "time": from_us(alert.time_us).isoformat(),
            "rule_id": alert.rule_id,
            "state": alert.state,
            "severity": alert.severity,
            "dedup_key": alert.dedup_key,
            "zone_id": alert.zone_id,
            "lane_id": alert.lane_id,
            "camera_id": alert.camera_id,
            "value": _finite(alert.value),
            "threshold": _finite(alert.threshold),
            "message": alert.message,
        }

    def json(self) -> bytes:
        return json.dumps(self.body(), ensure_ascii=False, allow_nan=False).encode()

    def is_at_least(self, severity: Severity) -> bool:
        return SEVERITIES.index(self.alert.severity) >= SEVERITIES.index(severity)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
