"""Real receivers of alerts on this machine: an HTTP server that can fail or hang, and an MQTT broker in a process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

WAIT_S = 60.0


class Inbox:
    """What has arrived, in order; `wait_for` returns once enough has."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._more = threading.Condition()

    def add(self, item: Any) -> None:
        with self._more:
            self.items.append(item)
            self._more.notify_all()

    def wait_for(self, count: int) -> list[Any]:
        with self._more:
            assert self._more.wait_for(lambda: len(self.items) >= count, WAIT_S), f"{len(self.items)} of {count} came"
            return list(self.items)


class Webhook:
    """`answers`: status codes of the next requests, then 204; 0 hangs until the server ends."""

    def __init__(self, port: int = 0, answers: tuple[int, ...] = ()) -> None:
        self.asked, self.taken = Inbox(), Inbox()
        self._answers, self._ended = list(answers), threading.Event()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = webhook._answers.pop(0) if webhook._answers else 204
                webhook.asked.add((status, body, dict(self.headers)))
                if status == 0:
                    webhook._ended.wait(WAIT_S)
                    self.close_connection = True
                    return
                if 200 <= status < 300:
                    webhook.taken.add(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Webhook:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def broker(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """An amqtt broker on loopback; killed at the end, if it still lives."""
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    path = folder / "broker.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-c", "from amqtt.scripts.broker_script import main; main()", "-c", str(path)]
    with (
        (folder / "broker.log").open("w") as log,
        subprocess.Popen(command, stderr=log, stdout=log, text=True) as process,
    ):
        try:
            _wait_until_listening(port, process)
            yield process
        finally:
            process.kill()


@contextmanager
def subscriber(port: int, topics: str) -> Iterator[Inbox]:
    """(topic, body) of everything published from now on."""
    inbox, subscribed = Inbox(), threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id="listener")
    client.on_connect = lambda *_: client.subscribe(topics, qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: inbox.add((message.topic, json.loads(message.payload)))
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert subscribed.wait(WAIT_S)
    try:
        yield inbox
    finally:
        client.disconnect()
        client.loop_stop()


def _wait_until_listening(port: int, process: subprocess.Popen[str]) -> None:
    tried = threading.Event()
    for _ in range(round(WAIT_S / 0.05)):
        assert process.poll() is None, "the broker ended"
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        tried.wait(0.05)
    raise AssertionError("the broker does not listen")
