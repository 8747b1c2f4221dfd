"""How an alert gets to a webhook or an MQTT broker. Errors name no path and no password: both may be secrets."""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import requests

from retail_ray.config_alerts import AlertSink
from retail_ray.core.errors import DeliveryError, RefusedError
from retail_ray.runtime.alert_messages import AlertMessage

# What is wrong is the message, not the address: trying again cannot help.
_REFUSALS: Final = frozenset({400, 413, 415, 422})
_MQTT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class SinkClient(Protocol):
    """Takes one alert after the other."""

    def send(self, message: AlertMessage) -> None:
        """Return once the other side has it; DeliveryError: later perhaps, RefusedError: never."""
        ...

    def close(self) -> None: ...


def shown_address(sink: AlertSink) -> str:
    """Scheme, host and port of a sink, fit for logs."""
    parts = urlsplit(sink.url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def open_client(sink: AlertSink, site_id: str) -> SinkClient:
    return WebhookClient(sink) if sink.kind == "webhook" else MqttClient(sink, site_id)


class WebhookClient:
    """POSTs JSON; any 2xx answer means that it has arrived."""

    def __init__(self, sink: AlertSink) -> None:
        self._sink, self._session = sink, requests.Session()

    def send(self, message: AlertMessage) -> None:
        sink = self._sink
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.idempotency_key,
            "User-Agent": "retail-ray",
            **sink.headers,
        }
        place = f"alert sink '{sink.id}' ({shown_address(sink)})"
        try:
            answer = self._session.post(
                sink.url, message.json(), headers=headers, timeout=sink.timeout_s, allow_redirects=False, stream=True
            )
            answer.close()
        except requests.Timeout as error:
            raise DeliveryError(f"{place}: no answer within {sink.timeout_s:g} s") from error
        except requests.RequestException as error:
            raise DeliveryError(f"{place}: no connection ({type(error).__name__})") from error
        if answer.status_code in _REFUSALS:
            raise RefusedError(f"{place}: refuses the alert with status {answer.status_code}; it is not sent again")
        if not 200 <= answer.status_code < 300:
            raise DeliveryError(f"{place}: answers with status {answer.status_code}; look at its address and headers")

    def close(self) -> None:
        self._session.close()


class MqttClient:
    """Publishes with QoS 1: the broker's acknowledgement means that it has arrived."""

    def __init__(self, sink: AlertSink, site_id: str) -> None:
        self._sink, self._site_id = sink, site_id
        self._client: Any = None

    def send(self, message: AlertMessage) -> None:
        sink, alert = self._sink, message.alert
        topic = sink.topic.format(site=message.site_id, rule=alert.rule_id, severity=alert.severity, state=alert.state)
        try:
            sent = self._connected().publish(topic, message.json(), qos=1)
            sent.wait_for_publish(sink.timeout_s)
            arrived = sent.is_published()
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            if isinstance(error, DeliveryError):
                raise
            raise DeliveryError(f"{self._place}: no connection ({type(error).__name__})") from error
        if not arrived:
            self.close()
            raise DeliveryError(f"{self._place}: no acknowledgement within {sink.timeout_s:g} s")

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    @property
    def _place(self) -> str:
        return f"alert sink '{self._sink.id}' ({shown_address(self._sink)})"

    def _connected(self) -> Any:
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        parts, answered, refusals = urlsplit(self._sink.url), threading.Event(), list[str]()

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            refusals.extend([str(reason)] if reason.is_failure else [])
            answered.set()

        self._client = client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"retail-ray-{self._site_id}-{self._sink.id}"
        )
        client.on_connect = on_connect
        client.connect_timeout = self._sink.timeout_s
        if parts.scheme == "mqtts":
            client.tls_set()
        if parts.username is not None:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        client.connect(parts.hostname or "localhost", parts.port or _MQTT_PORTS[parts.scheme.lower()])
        client.loop_start()
        if not answered.wait(self._sink.timeout_s):
            raise DeliveryError(f"{self._place}: no answer within {self._sink.timeout_s:g} s")
        if refusals:
            raise DeliveryError(f"{self._place}: refuses the connection ({refusals[0]}); look at user and password")
        return client
