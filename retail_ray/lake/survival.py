"""Kaplan-Meier estimates in SQL: the one formula for lengths of which some are cut off."""

from __future__ import annotations

from collections.abc import Sequence


def survival_tables(source: str, keys: Sequence[str], length: str, ended: str, shares: dict[str, float]) -> str:
    """Text of common table expressions, the last of which is `estimates`: the keys and one column per share.

    source: relation of lengths. keys: its columns that part them. length, ended: expressions over a row; where
    `ended` is false the true length is longer. shares: column name -> share that has ended, 0.5 for the median; NULL
    where too much is cut off. Kaplan and Meier, 1958.
    """
    columns = ", ".join(keys)
    part = f"PARTITION BY {columns}"
    found = ", ".join(
        f"min(length_s) FILTER (share <= {1 - share:.6g} + 1e-9) AS {name}" for name, share in shares.items()
    )
    return f"""lengths AS (
            SELECT {columns}, {length} AS length_s, count(*) FILTER ({ended}) AS ended, count(*) AS stays
            FROM {source} WHERE {length} IS NOT NULL GROUP BY {columns}, length_s
        ), at_risk AS (
            SELECT *, sum(stays) OVER ({part} ORDER BY length_s DESC) AS still_inside FROM lengths
        ), survival AS (
            SELECT *, product(1 - ended / still_inside) OVER ({part} ORDER BY length_s) AS share FROM at_risk
        ), estimates AS (
            SELECT {columns}, {found} FROM survival GROUP BY {columns}
        )"""
