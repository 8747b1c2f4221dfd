"""Who bought something: transactions joined with visits, and where there are none, what being served lets infer."""

from __future__ import annotations

from typing import Final

_JOURNEY_CONVERSIONS: Final = """
WITH joined_days AS (
    SELECT DISTINCT site_id, date FROM conversions WHERE offset_s IS NOT NULL AND {days}
), watched_days AS (
    SELECT DISTINCT site_id, date FROM queue_visits WHERE {days}
), stays AS (
    SELECT site_id, visit_run_id AS run_id, camera_id, local_id, session_id, identity_id, join_time, true AS paid
    FROM conversions WHERE join_time IS NOT NULL AND {days}
    UNION ALL
    SELECT site_id, run_id, camera_id, local_id, session_id, identity_id, join_time, false AS paid
    FROM queue_visits WHERE outcome = 'served' AND {days}
), resolved AS (
    SELECT s.site_id, s.run_id, coalesce(s.session_id, i.session_id) AS session_id,
           coalesce(s.identity_id, i.identity_id) AS identity_id, s.join_time, s.paid
    FROM stays s LEFT JOIN {identities} i USING (site_id, run_id, camera_id, local_id)
), met AS (
    SELECT j.site_id, j.run_id, j.journey_id,
           count(*) FILTER (r.paid) AS transactions, count(*) FILTER (NOT r.paid) AS services
    FROM (FROM journeys WHERE {days}) j JOIN resolved r
      ON r.site_id = j.site_id AND r.run_id = j.run_id AND r.session_id = j.session_id
     AND r.identity_id = j.identity_id AND r.join_time BETWEEN j.enter_time AND j.exit_time
    GROUP BY ALL
), inferred AS (
    SELECT j.site_id, j.run_id, j.journey_id, j.date, d.date IS NOT NULL AS joined,
           coalesce(m.transactions, 0) AS transactions,
           coalesce(j.converted, CASE WHEN w.date IS NOT NULL THEN coalesce(m.services, 0) > 0 END) AS served
    FROM (FROM journeys WHERE {days}) j LEFT JOIN joined_days d USING (site_id, date)
    LEFT JOIN watched_days w USING (site_id, date) LEFT JOIN met m USING (site_id, run_id, journey_id)
)
SELECT site_id, run_id, journey_id, date,
       CASE WHEN joined THEN transactions > 0 ELSE served END AS converted,
       CASE WHEN joined THEN 'pos' WHEN served IS NOT NULL THEN 'zone_inferred' END AS conversion_source, transactions
FROM inferred"""


def journey_conversions(days: str, identities: str) -> str:
    """Of each visit of some days whether it bought something. days: condition on `date`, which must hold the days of
    the visits' stays too. identities: relation like tracklet_identity."""
    return _JOURNEY_CONVERSIONS.format(days=days, identities=identities)


CONVERSION_VIEWS: Final[tuple[str, ...]] = (
    """CREATE OR REPLACE VIEW conversions AS
FROM conversion_versions QUALIFY version = max(version) OVER (PARTITION BY site_id, date)""",
    f"CREATE OR REPLACE VIEW journey_conversions AS {journey_conversions('true', 'tracklet_identity')}",
)
"""`conversions`: of each business day the newest join of its transactions; all of them stand in conversion_versions.
`journey_conversions`: of each visit whether it bought something. 'pos' on days whose transactions were joined;
elsewhere inferred from what the visit's row says, or from having been served."""
