"""`alerts` and `alert_sinks` of `site.yaml`: when somebody is told, and where to."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from retail_ray.config_base import Identifier, Section
from retail_ray.core.alert_metrics import MetricName
from retail_ray.core.retail_records import Severity
from retail_ray.core.uris import scheme

_KEY_WORDS = ("rule", "subject", "metric", "severity")
_MESSAGE_WORDS = (*_KEY_WORDS, "value", "threshold")
_TOPIC_WORDS = ("site", "rule", "severity", "state")
SINK_SCHEMES = {"http": "webhook", "https": "webhook", "mqtt": "mqtt", "mqtts": "mqtt"}


def _require_words(template: str, known: tuple[str, ...]) -> str:
    """`template`, if it can be filled from these words alone."""
    try:
        used = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        wrong = [name for name in used if name not in known]
        if not wrong:
            numbers = dict.fromkeys(("value", "threshold"), 1.5)
            template.format(**{name: numbers.get(name, name) for name in known})
    except (ValueError, LookupError) as error:
        raise ValueError(f"the template cannot be filled: {error}") from error
    if wrong:
        raise ValueError(f"the template knows {', '.join('{' + name + '}' for name in known)}, not {{{wrong[0]}}}")
    return template


def _key(template: str) -> str:
    if not template.isascii() or not template.isprintable():
        raise ValueError("write printable ASCII: the key goes into a header")
    return _require_words(template, _KEY_WORDS)


def _topic(template: str) -> str:
    if any(sign in template for sign in "+#\0"):
        raise ValueError("an MQTT topic holds no +, # or NUL")
    return _require_words(template, _TOPIC_WORDS)


class AlertRule(Section):
    """One rule over a metric of the site, or of each zone, lane, line or camera; docs/alerts.md has an example."""

    id: Identifier
    metric: MetricName = Field(description="what is watched; see docs/alerts.md")
    subjects: list[Identifier] = Field(
        default=[], description="ids of the metric's zones, lanes, lines or cameras; all of them without it"
    )
    op: Literal[">", ">=", "<", "<="] = Field(default=">=", description="how the value compares with the threshold")
    threshold: float = Field(description="in the metric's unit")
    clear: float | None = Field(
        default=None, description="stays open until the condition is false with this for a threshold; default threshold"
    )
    for_s: float = Field(default=0.0, ge=0, le=86_400, description="how long the condition must be true, seconds")
    cooldown_s: float = Field(
        default=0.0, ge=0, le=86_400, description="least time between two alerts of one key, seconds"
    )
    per_s: float = Field(default=3600.0, gt=0, le=86_400, description="window of entries and exits, seconds")
    severity: Severity = Field(default="warning", description="info, warning or critical")
    when: Literal["always", "open", "closed"] = Field(
        default="always", description="within or outside opening_hours only"
    )
    dedup_key: Annotated[str, AfterValidator(_key)] = Field(
        default="{rule}:{subject}",
        min_length=1,
        max_length=200,
        description="one open alert per key; of rule, subject, metric, severity",
    )
    message: Annotated[str, AfterValidator(lambda text: _require_words(text, _MESSAGE_WORDS))] = Field(
        default="{subject}: {metric} is {value:g}",
        max_length=500,
        description="the alert in words; of rule, subject, metric, severity, value, threshold",
    )

    @model_validator(mode="after")
    def _hysteresis(self) -> AlertRule:
        if self.clear is not None and (self.clear > self.threshold if ">" in self.op else self.clear < self.threshold):
            side = "at or below" if ">" in self.op else "at or above"
            raise ValueError(f"clear ({self.clear:g}) must lie {side} the threshold ({self.threshold:g})")
        return self


def _sink_url(url: str) -> str:
    if scheme(url) not in SINK_SCHEMES:
        raise ValueError("write an http://, https://, mqtt:// or mqtts:// address")
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        raise ValueError("the address names no host, or no usable port")
    return url


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (name and f"{name}{value}".isascii() and f"{name}{value}".isprintable()):
            raise ValueError(f"header {name!r}: write printable ASCII")
    return headers


class AlertSink(Section):
    """Where committed alerts are sent, beside the lake: a webhook (HTTP POST of JSON) or an MQTT broker."""

    id: Identifier
    url: Annotated[str, AfterValidator(_sink_url)] = Field(
        repr=False,
        description="http(s)://… of a webhook, or mqtt(s)://[user:password@]host[:port]; secrets as ${VAR}",
    )
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(
        default={}, repr=False, description="further headers of a webhook's request"
    )
    topic: Annotated[str, AfterValidator(_topic)] = Field(
        default="retail-ray/{site}/alerts/{rule}",
        min_length=1,
        max_length=500,
        description="MQTT topic; of site, rule, severity, state",
    )
    min_severity: Severity = Field(default="info", description="less severe alerts are not sent")
    only_live: bool = Field(default=False, description="send nothing of recorded runs")
    timeout_s: float = Field(default=10.0, gt=0, le=300, description="longest wait for an answer, seconds")
    retry_s: float = Field(default=1.0, gt=0, le=3600, description="first wait after a failure, doubled each time")
    retry_most_s: float = Field(default=60.0, gt=0, le=3600, description="longest wait between tries, seconds")
    drain_s: float = Field(
        default=10.0, ge=0, le=600, description="how long the end of a run waits for what is not delivered yet, seconds"
    )

    @property
    def kind(self) -> str:
        """'webhook' or 'mqtt'."""
        return SINK_SCHEMES[scheme(self.url)]
