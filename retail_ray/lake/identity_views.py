"""Which identity a tracklet has: now, as of any earlier decision or instant, and as it was first decided.

One row per tracklet, of the newest session that decided about it. A tracklet belongs to the identity that its latest
create, assign or split names, and follows that identity through the merges behind it.
"""

from __future__ import annotations

from typing import Final, Literal

IdentityVersion = Literal["emitted", "revised"] | int
"""As first decided, as of the newest decision, or as of the decision with this sequence number."""

_RESOLVED: Final = """
WITH RECURSIVE assigned AS (
    SELECT site_id, run_id, session_id, camera_id, local_id,
           arg_max(identity_id, sequence) AS identity_id, max(sequence) AS sequence
    FROM identity_events
    WHERE kind IN ('create', 'assign', 'split') AND camera_id IS NOT NULL AND local_id IS NOT NULL AND {known} {of}
    GROUP BY ALL
), merges AS (
    SELECT site_id, run_id, session_id, other_identity_id, identity_id, sequence,
           lag(sequence, 1, -1) OVER (
               PARTITION BY site_id, run_id, session_id, other_identity_id ORDER BY sequence) AS earlier
    FROM identity_events
    WHERE kind = 'merge' AND {known}
), resolved AS (
    SELECT * FROM assigned
    UNION ALL
    SELECT r.site_id, r.run_id, r.session_id, r.camera_id, r.local_id, m.identity_id, m.sequence
    FROM resolved r JOIN merges m
      ON m.site_id = r.site_id AND m.run_id = r.run_id AND m.session_id = r.session_id
     AND m.other_identity_id = r.identity_id AND m.sequence > r.sequence AND m.earlier <= r.sequence
)
SELECT site_id, run_id, camera_id, local_id,
       arg_max(session_id, sequence) AS session_id, arg_max(identity_id, sequence) AS identity_id,
       max(sequence) AS sequence
FROM resolved
GROUP BY site_id, run_id, camera_id, local_id
"""
_TRACKLET: Final = "run_id, camera_id, local_id"


def _resolved(known: str, of: str = "") -> str:
    """known: which decisions count. of: which tracklets are asked for; their identities' merges all count."""
    return _RESOLVED.format(known=known, of=of)


_EMITTED: Final = """
WITH first AS (
    SELECT site_id, run_id, session_id, camera_id, local_id,
           arg_min(identity_id, sequence) AS identity_id, min(sequence) AS sequence
    FROM identity_events
    WHERE kind IN ('create', 'assign') AND camera_id IS NOT NULL AND local_id IS NOT NULL
    GROUP BY ALL
)
SELECT site_id, run_id, camera_id, local_id,
       arg_max(session_id, sequence) AS session_id, arg_max(identity_id, sequence) AS identity_id,
       max(sequence) AS sequence
FROM first
GROUP BY site_id, run_id, camera_id, local_id
"""
_NEWEST_JOURNEYS: Final = """
FROM journey_versions
QUALIFY NOT coalesce(withdrawn, false) AND coalesce(version, 0) = max(coalesce(version, 0)) OVER (
    PARTITION BY site_id, run_id, session_id, identity_id, date)
"""

IDENTITY_VIEWS: Final[tuple[str, ...]] = (
    f"CREATE OR REPLACE VIEW tracklet_identity AS {_resolved('true')}",
    f"CREATE OR REPLACE VIEW tracklet_identity_emitted AS {_EMITTED}",
    f"CREATE OR REPLACE MACRO tracklet_identity_at(version) AS TABLE {_resolved('sequence <= version')}",
    "CREATE OR REPLACE MACRO tracklet_identity_at_time(instant) AS TABLE " + _resolved("time <= instant::TIMESTAMPTZ"),
    """CREATE OR REPLACE VIEW detections_identity AS
SELECT d.*, i.session_id, i.identity_id
FROM detections d LEFT JOIN tracklet_identity i USING (site_id, run_id, camera_id, local_id)""",
)
"""`tracklet_identity_at(version)`: decisions with a sequence up to `version`, of each run; `…_at_time(instant)`: those
decided up to an instant; `tracklet_identity_emitted`: the first decision alone, without merges and splits."""


def identities_as_of(version: IdentityVersion) -> str:
    """The relation that gives the identities of tracklets as of `version`."""
    if version == "revised":
        return "tracklet_identity"
    return "tracklet_identity_emitted" if version == "emitted" else f"tracklet_identity_at({int(version)})"


def identities_on(days: str, tracklets: str | None = None) -> str:
    """The rows of tracklet_identity that decisions of these business days of site $site give; days: a list in SQL.

    tracklets: as in `identities_within`.
    """
    return identities_within(f"site_id = $site AND date IN ({days})", tracklets)


def journeys_select(columns: list[str]) -> str:
    """`journeys`: of each identity and business day the rows of the newest version; all stand in journey_versions."""
    return f"SELECT {', '.join(columns)}, date {_NEWEST_JOURNEYS}"


def identities_within(days: str, tracklets: str | None = None) -> str:
    """The rows of tracklet_identity that decisions of some business days give. days: a condition on `date`.

    tracklets: a relation with run_id, camera_id and local_id; of these tracklets alone.
    """
    of = "" if tracklets is None else f"AND (run_id, camera_id, local_id) IN (SELECT {_TRACKLET} FROM {tracklets})"
    return _resolved(days, of)
