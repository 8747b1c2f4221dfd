"""`docs/metrics.md`: the registry of metrics as a page."""

from __future__ import annotations

from retail_ray.lake.metric_answers import sql_of
from retail_ray.lake.metric_types import Metric
from retail_ray.lake.metrics import METRICS

_INTRODUCTION = """
# Metrics

Every metric once: what is counted, in which unit, and how it may be asked for. The HTTP API
(`GET /v1/metrics`) and the command line are made from the same registry:

```sh
retail-ray metrics list
retail-ray metrics show conversion
retail-ray metrics ask footfall --site site.yaml --from 2026-03-02 --to 2026-03-08 --grain day
retail-ray metrics ask zone_visits --site site.yaml --from 2026-03-02 --by zone,hour --staff exclude
```

In Python: `from retail_ray.lake.metric_answers import ask`.

- `grain` cuts the interval into minutes, local hours or business days. `by` groups: `hour` is the hour of the day,
  `day` the business day, `weekday` 1 (Monday) to 7. Neither: one row for the interval. A minute, hour or day in which
  nothing happened has a row with zeros.
- Events count by their instant, stays and visits by their beginning. Every row has `interval_share`: the share of its
  camera-minutes that was analysed; of its own camera where rows are by camera. Little coverage means that too few are
  counted.
- *Measured*: from tracklets and lanes, without recognising people. *Estimated*: rests on recognising people.
  *Inferred*: rests on a rule that may be wrong for one person.
- `staff=exclude` leaves out identities whose staff probability reaches 0.5. Then measured metrics rest on recognition,
  too.
- *Additive* values may be summed over buckets; others must be asked for anew. Shares, medians and people never may.
- Kaplan-Meier estimates take stays that were cut off as "at least so long". They are right where being cut off has
  nothing to do with how long the stay would have been.
- The version of a metric rises whenever the same data would give other values.
- Sales of tills are imported with `retail-ray pos import`, see [pos.md](pos.md).
"""


def metrics_page() -> str:
    """Markdown: a table of all metrics, then each with its values and its SQL."""
    rows = [
        f"| [`{metric.id}`](#{metric.id}) | {metric.name} | {', '.join(metric.grains)} | {_words(metric.groups)} "
        f"| {metric.basis} | {_yes(metric.additive)} | {_yes(metric.staff)} | {metric.version} |"
        for metric in METRICS
    ]
    table = "\n".join(
        ["| id | name | grains | by | basis | additive | staff can be left out | version |", "|---" * 8 + "|", *rows]
    )
    return "\n".join([_INTRODUCTION, table, "", *map(_section, METRICS)])


def _section(metric: Metric) -> str:
    values = "\n".join(f"| `{value.name}` | {value.unit} | {value.meaning} |" for value in metric.values)
    sql = sql_of(metric)
    how = f"```sql\n{sql}\n```" if sql else "Computed in `retail_ray/lake/visitors.py`, which says how."
    return (
        f"## {metric.id}\n\n{metric.name}: {metric.formula}. Reads {_words(metric.tables)}.\n\n"
        f"| value | unit | meaning |\n|---|---|---|\n{values}\n\n{how}\n"
    )


def _words(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
