"""Cameras that contradict the others, in words and as alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from retail_ray.core.retail_records import Alert
from retail_ray.identity.contradictions import Agreement
from retail_ray.identity.settings import CameraAgreement

RULE_ID: Final = "camera_contradicted"


def of_camera(agreement: Agreement, camera_ids: Sequence[str]) -> CameraAgreement:
    """For the live state."""
    words = in_words(agreement, camera_ids) if agreement.doubted else ""
    return CameraAgreement(camera_ids[agreement.camera], agreement.owed, agreement.agreed, words)


def alert(agreement: Agreement, camera_ids: Sequence[str], threshold: float, time_us: int) -> Alert:
    """Raised where the camera is doubted, cleared where it is not any more. threshold: share that must agree."""
    camera_id = camera_ids[agreement.camera]
    return Alert(
        time_us=time_us,
        rule_id=RULE_ID,
        state="raised" if agreement.doubted else "cleared",
        severity="critical",
        dedup_key=f"{RULE_ID}:{camera_id}",
        zone_id=None,
        lane_id=None,
        camera_id=camera_id,
        value=agreement.share,
        threshold=threshold,
        message=f"camera '{camera_id}': {in_words(agreement, camera_ids)}",
    )


def in_words(agreement: Agreement, camera_ids: Sequence[str]) -> str:
    """What was counted, and what to do."""
    counted = f"{agreement.agreed:.0f} of {agreement.owed:.0f} people in motion"
    if not agreement.doubted:
        return f"agrees with the other cameras again: they see {counted} where they should"
    against = ", ".join(f"'{camera_ids[other]}'" for other in agreement.against) or "the others together"
    whose = "its calibration or clock, or theirs," if agreement.alone else "its calibration or clock"
    return (
        f"contradicts {against}: other cameras see {counted} where they should; {whose} is wrong, and its floor is "
        "left out between cameras. Run `retail-ray calibrate check --lake` to see whether calibrations are exchanged"
    )
