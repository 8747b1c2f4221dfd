"""Loopback cameras: an HTTP server that can be cut off in the middle, and a small RTSP server."""

from __future__ import annotations

import contextlib
import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av


class FileServer:
    """Serves a folder on one fixed port; `cut_after` bytes of the first answer it goes down, until `start`."""

    def __init__(self, folder: Path, cut_after: int | None = None) -> None:
        self._folder, self._cut_after = folder, cut_after
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0
        self.requests: list[str] = []
        self.start()

    def start(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        name = handler.path.split("?")[0].lstrip("/")
        self.requests.append(name)
        data = (self._folder / name).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if self._cut_after is None:
            handler.wfile.write(data)
            return
        handler.wfile.write(data[: self._cut_after])
        self._cut_after = None
        handler.close_connection = True
        self.stop()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def url(self, name: str, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}/{name}"


class RtspServer:
    """Plays one H.264 clip to every client over TCP (RFC 2326, 6184), then closes the connection."""

    def __init__(self, clip: Path) -> None:
        self._units = _access_units(clip)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.plays = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, credentials: str = "") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/camera"

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._converse(client)

    def _converse(self, client: socket.socket) -> None:
        reader = client.makefile("rb")
        while request := reader.readline().decode():
            headers = dict(line.split(": ", 1) for line in iter(lambda: reader.readline().decode().strip(), ""))
            method = request.split()[0]
            extra, body = self._reply(method)
            lines = ["RTSP/1.0 200 OK", f"CSeq: {headers['CSeq']}", "Session: 1;timeout=60", *extra]
            client.sendall(("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]) + body).encode())
            if method == "PLAY":
                self.plays += 1
                for packet in _rtp_packets(self._units):
                    client.sendall(struct.pack(">BBH", 0x24, 0, len(packet)) + packet)
                return

    def _reply(self, method: str) -> tuple[list[str], str]:
        if method == "OPTIONS":
            return ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], ""
        if method == "DESCRIBE":
            media = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1"]
            sdp = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "t=0 0", *media, "a=framerate:30", "a=control:0", ""]
            return [f"Content-Base: {self.url()}/", "Content-Type: application/sdp"], "\r\n".join(sdp)
        if method == "SETUP":
            return ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"], ""
        return [], ""


def _access_units(clip: Path) -> list[tuple[int, list[bytes]]]:
    """(time in 90 kHz ticks, NAL units) of every picture of a clip without B-frames in Annex B form."""
    units = []
    with av.open(str(clip)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                nals = [nal.strip(b"\0") for nal in bytes(packet).split(b"\0\0\1")]
                units.append((round(packet.pts * packet.time_base * 90_000), [nal for nal in nals if nal]))
    return units


def _rtp_packets(units: list[tuple[int, list[bytes]]]) -> Iterator[bytes]:
    sequence = 0
    for ticks, nals in units:
        for n, nal in enumerate(nals):
            payloads = list(_fragments(nal))
            for p, payload in enumerate(payloads):
                marker = 0x80 if n == len(nals) - 1 and p == len(payloads) - 1 else 0
                yield struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, ticks & 0xFFFFFFFF, 7) + payload
                sequence += 1


def _fragments(nal: bytes, size: int = 1200) -> Iterator[bytes]:
    if len(nal) <= size:
        yield nal
        return
    indicator, kind, body = nal[0] & 0xE0 | 28, nal[0] & 0x1F, nal[1:]
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    for i, part in enumerate(parts):
        flags = (0x80 if i == 0 else 0) | (0x40 if i == len(parts) - 1 else 0)
        yield bytes([indicator, flags | kind]) + part


@contextmanager
def rtsp_server(clip: Path) -> Iterator[RtspServer]:
    server = RtspServer(clip)
    try:
        yield server
    finally:
        server.stop()


def write_hls(clip: Path, folder: Path) -> Path:
    """A playlist of one-second segments, copied from a clip."""
    playlist = folder / "index.m3u8"
    options = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(folder / "part%d.ts")}
    with av.open(str(clip)) as source, av.open(str(playlist), "w", format="hls", options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return playlist


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
