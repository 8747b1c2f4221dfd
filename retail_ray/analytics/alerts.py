"""Alert rules over readings in event time: condition, `for`, hysteresis, cooldown and one open alert per key.

A rule watches every subject of its metric. It *holds* once its condition has been true for `for_s`, and until the
condition is false with `clear` in the threshold's place. An alert is open while some rule with its key holds.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Any, Final, Literal

from retail_ray.core.alert_metrics import ALERT_METRICS, MetricName
from retail_ray.core.errors import ConfigError, DataError
from retail_ray.core.opening_hours import Opening, OpeningHours
from retail_ray.core.retail_records import Alert, Severity
from retail_ray.core.time import US_PER_S

Operator = Literal[">", ">=", "<", "<="]
_HOLDS: Final = {">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule; units of threshold and clear are the metric's.

    subjects: ids, empty for all. per_s: window of metrics that count events. when: in which opening hours it applies;
    outside of them its condition is false. dedup_key, message: templates of rule, subject, metric, value, threshold
    and severity (the key without value).
    """

    rule_id: str
    metric: MetricName
    operator: Operator
    threshold: float
    clear: float
    for_s: float = 0.0
    cooldown_s: float = 0.0
    severity: Severity = "warning"
    subjects: tuple[str, ...] = ()
    per_s: float = 3600.0
    when: Literal["always", "open", "closed"] = "always"
    dedup_key: str = "{rule}:{subject}"
    message: str = "{subject}: {metric} is {value:g}"

    def key(self, subject: str) -> str:
        return self.dedup_key.format(**self._names(subject)).rstrip(":")

    def words(self, subject: str, value: float, threshold: float) -> str:
        return self.message.format(**self._names(subject or "site"), value=value, threshold=threshold)

    def _names(self, subject: str) -> dict[str, str]:
        return {"rule": self.rule_id, "subject": subject, "metric": self.metric, "severity": self.severity}


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that holds until the next reading of the same metric and subject ("" for the site).

    grows: it rises by one each second by itself, as a wait does.
    """

    metric: MetricName
    subject: str
    value: float
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something of a counted metric happened at `time_us`."""

    metric: MetricName
    subject: str
    time_us: int


@dataclass(slots=True)
class _Watch:
    """One rule and one of its subjects. since_us: the condition has been true since then."""

    rule: AlertRule
    subject: str
    key: str
    since_us: int | None = None
    holds: bool = False


@dataclass(slots=True)
class _Key:
    """One dedup key. raised_us, rule_id, subject: of its newest alert, open or not."""

    open: bool = False
    raised_us: int = 0
    rule_id: str = ""
    subject: str = ""

    def free_us(self, rule: AlertRule) -> int:
        """When the rule's cooldown since the newest alert is over."""
        return self.raised_us + round(rule.cooldown_s * US_PER_S) if self.rule_id else 0


@dataclass(slots=True)
class AlertEngine:
    """Works readings in event-time order; the same readings give the same alerts wherever the stream is split."""

    rules: Sequence[AlertRule]
    hours: OpeningHours | None = None
    _now_us: int | None = None
    _readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    _events: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _watches: dict[tuple[int, str], _Watch] = field(default_factory=dict)
    _keys: dict[str, _Key] = field(default_factory=dict)
    _opening: Opening | None = None

    def update(self, now_us: int, readings: Sequence[Reading], events: Sequence[Event] = ()) -> list[Alert]:
        """Changes of state as of `now_us`, in the order of the rules; a call never goes back in time.

        The value of a counted metric is worked out from the events; its reading only says that the subject exists.
        """
        self._now_us = now_us
        for reading in readings:
            if (reading.metric, reading.subject) not in self._readings:
                self._start_watching(reading)
            self._readings[reading.metric, reading.subject] = reading
        self._take_events(events, now_us)
        watched: dict[str, list[_Watch]] = {}
        for watch in self._watches.values():
            self._work(watch, now_us)
            watched.setdefault(watch.key, []).append(watch)
        return [alert for key, watches in watched.items() for alert in self._change(key, watches, now_us)]

    def finish(self, now_us: int) -> list[Alert]:
        """The data ends: what is open is cleared, since nobody looks any more."""
        alerts = []
        for watch in self._watches.values():
            key = self._keys[watch.key]
            if key.open and (key.rule_id, key.subject) == (watch.rule.rule_id, watch.subject):
                key.open = False
                alerts.append(self._alert("cleared", watch, now_us, " (the data ended)"))
        return alerts

    def adopt(self, open_alerts: Sequence[Alert]) -> None:
        """Alerts that an earlier run left open are open here too: neither raised twice nor forgotten."""
        ours = {rule.rule_id for rule in self.rules}
        for alert in open_alerts:
            if alert.rule_id in ours:
                subject = alert.zone_id or alert.lane_id or alert.camera_id or ""
                self._keys[alert.dedup_key] = _Key(
                    open=True, raised_us=alert.time_us, rule_id=alert.rule_id, subject=subject
                )

    def wake_us(self) -> int | None:
        """When something changes without any new reading."""
        return None if self._now_us is None else min(self._wakes(self._now_us), default=None)

    def state(self) -> Any:
        return (
            [rule.rule_id for rule in self.rules],
            self._now_us,
            [(r.metric, r.subject, r.value, r.grows) for _, r in sorted(self._readings.items())],
            [(*key, times_us) for key, times_us in sorted(self._events.items())],
            [(*place, watch.since_us, watch.holds) for place, watch in self._watches.items()],
            [(name, key.open, key.raised_us, key.rule_id, key.subject) for name, key in sorted(self._keys.items())],
        )

    def restore(self, state: Any) -> None:
        rule_ids, self._now_us, readings, events, watches, keys = state
        ours = [rule.rule_id for rule in self.rules]
        if rule_ids != ours:
            raise DataError(f"the saved state has alert rules {rule_ids}, this site has {ours}: start without it")
        self._readings = {(metric, subject): Reading(metric, subject, *rest) for metric, subject, *rest in readings}
        self._events = {(metric, subject): times_us for metric, subject, times_us in events}
        self._watches = {
            (index, subject): _Watch(self.rules[index], subject, self.rules[index].key(subject), since_us, holds)
            for index, subject, since_us, holds in watches
        }
        self._keys = {name: _Key(*rest) for name, *rest in keys}

    def _start_watching(self, reading: Reading) -> None:
        for index, rule in enumerate(self.rules):
            if rule.metric == reading.metric and (not rule.subjects or reading.subject in rule.subjects):
                watch = _Watch(rule, reading.subject, rule.key(reading.subject))
                self._watches[index, reading.subject] = watch
                self._keys.setdefault(watch.key, _Key())
        self._watches = dict(sorted(self._watches.items()))

    def _take_events(self, events: Sequence[Event], now_us: int) -> None:
        for event in events:
            insort(self._events.setdefault((event.metric, event.subject), []), event.time_us)
        longest_s = max((rule.per_s for rule in self.rules), default=0.0)
        for times_us in self._events.values():
            del times_us[: bisect_right(times_us, now_us - round(longest_s * US_PER_S))]

    def _value(self, watch: _Watch, now_us: int) -> float:
        if ALERT_METRICS[watch.rule.metric].counted:
            return float(len(self._recent(watch, now_us)))
        return self._readings[watch.rule.metric, watch.subject].value

    def _recent(self, watch: _Watch, now_us: int) -> list[int]:
        """Events within (now - per_s, now], oldest first."""
        times_us = self._events.get((watch.rule.metric, watch.subject), [])
        return times_us[bisect_right(times_us, now_us - round(watch.rule.per_s * US_PER_S)) :]

    def _applies(self, rule: AlertRule, now_us: int) -> bool:
        return rule.when == "always" or self._open_at(now_us).is_open == (rule.when == "open")

    def _open_at(self, now_us: int) -> Opening:
        if self.hours is None:
            raise ConfigError(f"alert rules {[rule.rule_id for rule in self.rules]}: `when` needs opening hours")
        if self._opening is None or not self._opening.since_us <= now_us < self._opening.until_us:
            self._opening = self.hours.at(now_us)
        return self._opening

    def _work(self, watch: _Watch, now_us: int) -> None:
        rule = watch.rule
        limit = rule.clear if watch.holds else rule.threshold
        if not (self._applies(rule, now_us) and _HOLDS[rule.operator](self._value(watch, now_us), limit)):
            watch.since_us, watch.holds = None, False
            return
        watch.since_us = now_us if watch.since_us is None else watch.since_us
        watch.holds = watch.holds or now_us - watch.since_us >= round(rule.for_s * US_PER_S)

    def _change(self, name: str, watches: Sequence[_Watch], now_us: int) -> Iterator[Alert]:
        key, holding = self._keys[name], [watch for watch in watches if watch.holds]
        if key.open and not holding:
            key.open = False
            raised = [watch for watch in watches if (watch.rule.rule_id, watch.subject) == (key.rule_id, key.subject)]
            yield self._alert("cleared", (raised or watches)[0], now_us)
        due = [watch for watch in holding if now_us >= key.free_us(watch.rule)]
        if due and not key.open:
            key.open, key.raised_us, key.rule_id, key.subject = True, now_us, due[0].rule.rule_id, due[0].subject
            yield self._alert("raised", due[0], now_us)

    def _wakes(self, now_us: int) -> Iterator[int]:
        for watch in self._watches.values():
            yield from self._wakes_of(watch, now_us)
        if any(rule.when != "always" for rule in self.rules):
            yield self._open_at(now_us).until_us

    def _wakes_of(self, watch: _Watch, now_us: int) -> Iterator[int]:
        rule, key = watch.rule, self._keys[watch.key]
        if watch.holds and not key.open:
            yield key.free_us(rule)
        elif watch.since_us is not None and not watch.holds:
            yield watch.since_us + round(rule.for_s * US_PER_S)
        if ALERT_METRICS[rule.metric].counted:
            yield from (time_us + round(rule.per_s * US_PER_S) for time_us in self._recent(watch, now_us)[:1])
            return
        reading = self._readings[rule.metric, watch.subject]
        if reading.grows and reading.value <= rule.threshold:
            yield now_us + math.ceil((rule.threshold - reading.value) * US_PER_S) + 1

    def _alert(self, change: Literal["raised", "cleared"], watch: _Watch, now_us: int, note: str = "") -> Alert:
        rule, kind = watch.rule, ALERT_METRICS[watch.rule.metric].subject
        value, limit = self._value(watch, now_us), rule.threshold if change == "raised" else rule.clear
        return Alert(
            time_us=now_us,
            rule_id=rule.rule_id,
            state=change,
            severity=rule.severity,
            dedup_key=watch.key,
            zone_id=watch.subject if kind == "zone" else None,
            lane_id=watch.subject if kind == "lane" else None,
            camera_id=watch.subject if kind == "camera" else None,
            value=value,
            threshold=limit,
            message=rule.words(watch.subject, value, limit) + note,
        )
