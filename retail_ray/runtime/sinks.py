"""Alerts on their way out: one thread for each sink, which never holds up or ends a run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from retail_ray.config_alerts import AlertSink
from retail_ray.core.errors import DeliveryError, LakeError, RefusedError, RetailRayError
from retail_ray.lake.epochs import Commit
from retail_ray.runtime.alert_messages import AlertMessage
from retail_ray.runtime.outbox import Outbox
from retail_ray.runtime.plan import RunPlan
from retail_ray.runtime.sink_clients import SinkClient, open_client

# Commits with alerts that are held in memory; beyond that the lake is read again.
_HELD: Final = 256


@dataclass(slots=True)
class SinkStatus:
    """What became of the alerts of one sink. failures: tries that did not work; waiting: alerts the next run sends."""

    sink_id: str
    delivered: int = 0
    refused: int = 0
    failures: int = 0
    waiting: int = 0
    last_error: str = ""


class Courier:
    """Delivers what its outbox has, in order, each alert until it is there."""

    def __init__(self, sink: AlertSink, client: SinkClient, outbox: Outbox, notice: Callable[[str], None]) -> None:
        self._sink, self._client, self._outbox, self._notice = sink, client, outbox, notice
        self.status = SinkStatus(sink.id)
        self._held: deque[Commit] = deque()
        self._read_lake = True
        self._lock, self._work = threading.Lock(), threading.Event()
        self._ending, self._given_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._deliver_all, name=f"alerts-{sink.id}", daemon=True)

    def start(self) -> None:
        self._work.set()
        self._thread.start()

    def committed(self, commit: Commit) -> None:
        """An epoch was published; returns at once."""
        if not self._outbox.is_pending(commit):
            return
        with self._lock:
            if len(self._held) < _HELD:
                self._held.append(commit)
            else:
                self._read_lake = True
        self._work.set()

    def close(self) -> SinkStatus:
        """Deliver the rest within `drain_s`; what is left then is sent by the next run."""
        self._ending.set()
        self._work.set()
        self._thread.join(self._sink.drain_s)
        self._given_up.set()
        self._thread.join(min(1.0, self._sink.timeout_s))
        if not self._thread.is_alive():
            self._client.close()
        self.status.waiting = self._count_waiting()
        if self.status.waiting:
            self._notice(
                f"alert sink '{self._sink.id}': {self.status.waiting} alerts are not delivered; the next run of this "
                "site sends them, or `retail-ray alerts send`"
            )
        return self.status

    def _count_waiting(self) -> int:
        try:
            commits = list(self._outbox.pending())
        except LakeError:
            return 0
        return sum(entry.rows for commit in commits for entry in commit.files if entry.table == "alerts")

    def _deliver_all(self) -> None:
        while not self._given_up.is_set():
            self._work.wait()
            self._work.clear()
            # Asked before the last look, so that nothing comes between the look and the end.
            ending = self._ending.is_set()
            try:
                for commit in self._waiting():
                    if not self._deliver(commit):
                        return
            except LakeError as error:
                self._failed(error)
            if ending:
                return

    def _waiting(self) -> Iterator[Commit]:
        while True:
            with self._lock:
                read_lake, self._read_lake = self._read_lake, False
                held = None if read_lake or not self._held else self._held.popleft()
            if read_lake:
                yield from self._outbox.pending()
            elif held is None:
                return
            elif self._outbox.is_pending(held):
                yield held

    def _deliver(self, commit: Commit) -> bool:
        """False where the run has ended and nobody waits any longer."""
        for alert in self._outbox.alerts(commit):
            message = AlertMessage(commit.site_id, commit.run_id, alert)
            if message.is_at_least(self._sink.min_severity) and not self._insist(message):
                return False
        self._outbox.cross_off(commit)
        return True

    def _insist(self, message: AlertMessage) -> bool:
        pause_s = self._sink.retry_s
        while not self._given_up.is_set():
            try:
                self._client.send(message)
            except RefusedError as error:
                self._refused(error)
                return True
            except DeliveryError as error:
                self._failed(error)
                self._pause(pause_s)
                pause_s = min(2 * pause_s, self._sink.retry_most_s)
            else:
                self._delivered()
                return True
        return False

    def _pause(self, pause_s: float) -> None:
        """At the end of a run nobody waits for long pauses."""
        if self._ending.wait(pause_s):
            self._given_up.wait(self._sink.retry_s)

    def _refused(self, error: RefusedError) -> None:
        if not self.status.refused:
            self._notice(str(error))
        self.status.refused += 1

    def _failed(self, error: Exception) -> None:
        self.status.failures += 1
        if not self.status.last_error:
            self._notice(f"{error}; the run goes on, the alerts wait in the lake")
        self.status.last_error = str(error)

    def _delivered(self) -> None:
        self.status.delivered += 1
        if self.status.last_error:
            self.status.last_error = ""
            self._notice(f"alert sink '{self._sink.id}': delivers again")


class AlertSinks:
    """All sinks of one run; is told what was committed, and nothing else."""

    def __init__(self, plan: RunPlan, notice: Callable[[str], None]) -> None:
        self._plan, self._notice = plan, notice
        self._couriers: list[Courier] = []
        self.statuses: list[SinkStatus] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """From here on committed alerts are sent, first those that an earlier run left behind."""
        self._couriers = couriers(self._plan, self._plan.site.alert_sinks, self._notice, run_id=self._plan.run_id)
        for courier in self._couriers:
            courier.start()
        try:
            yield
        finally:
            self.statuses = [courier.close() for courier in self._couriers]

    def committed(self, commit: Commit) -> None:
        for courier in self._couriers:
            courier.committed(commit)


def couriers(
    plan: RunPlan, sinks: Sequence[AlertSink], notice: Callable[[str], None], run_id: str | None
) -> list[Courier]:
    """One for each sink whose record can be read. run_id: the run that begins; None to send what is left over."""
    found = []
    for sink in sinks:
        try:
            outbox = Outbox(plan.lake, plan.site.site, sink.id, only_live=sink.only_live)
            if run_id is not None:
                outbox.begin(run_id)
        except RetailRayError as error:
            notice(f"alert sink '{sink.id}' is left out: {error}")
            continue
        found.append(Courier(sink, open_client(sink, plan.site.site), outbox, notice))
    return found
