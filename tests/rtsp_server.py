"""A network camera that speaks RTSP and wants a password: ffmpeg's RTP packets, handed on inside the connection."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from video_sources import ffmpeg

USER, PASSWORD = "admin", "ge heim@1"
ANSWERS = {
    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n",
    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
    "PLAY": "Session: 1\r\n",
}


class RtspCamera(socketserver.ThreadingTCPServer):
    """Serves one stream, as RFC 2326 with packets interleaved (10.12); `sdp` describes it, `packets` receives it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, packets: socket.socket, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.packets = packets
        self.sdp = ""
        self.unplugged = threading.Event()

    @property
    def address(self) -> str:
        """With the password, quoted as addresses are."""
        return f"rtsp://{USER}:ge%20heim%401@127.0.0.1:{self.server_address[1]}/live"

    def unplug(self) -> None:
        """Close all connections and the port."""
        self.unplugged.set()
        self.shutdown()
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    server: RtspCamera

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while not self.server.unplugged.is_set() and (request := self._request()):
                self._answer(*request)

    def _request(self) -> tuple[str, dict[str, str]] | None:
        """The method and the headers of the next request; the client's own reports are passed over."""
        while (first := self.rfile.read(1)) == b"$":
            self.rfile.read(int.from_bytes(self.rfile.read(3)[1:], "big"))
        line = first + self.rfile.readline()
        headers = {}
        while (field := self.rfile.readline().decode().strip()) != "":
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        return (line.decode().split()[0], headers) if line.strip() else None

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("authorization") != f"Basic {right}":
            self._say("401 Unauthorized", headers, 'WWW-Authenticate: Basic realm="camera"\r\n')
            return
        body = self.server.sdp if method == "DESCRIBE" else ""
        about = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._say("200 OK", headers, ANSWERS.get(method, "") + about, body)
        if method == "PLAY":
            threading.Thread(target=self._hand_on, daemon=True).start()

    def _say(self, status: str, headers: dict[str, str], more: str, body: str = "") -> None:
        self.wfile.write(f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\n{more}\r\n{body}".encode())

    def _hand_on(self) -> None:
        with contextlib.suppress(OSError):
            while not self.server.unplugged.is_set():
                packet = self.server.packets.recv(65536)
                self.wfile.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def rtsp_camera(folder: Path, port: int = 0) -> Iterator[RtspCamera]:
    """A camera with a moving test picture, 320 x 240 pixels, 25 frames a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
        packets.bind(("127.0.0.1", 0))
        packets.settimeout(1)
        camera = RtspCamera(packets, port)
        sdp = folder / "stream.sdp"
        sdp.unlink(missing_ok=True)
        command = [ffmpeg(), "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
        command += ["-t", "60", "-c:v", "mpeg2video", "-g", "5", "-sdp_file", str(sdp)]
        command += ["-f", "rtp", f"rtp://127.0.0.1:{packets.getsockname()[1]}?pkt_size=1200"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        serving = threading.Thread(target=camera.serve_forever, args=(0.05,), daemon=True)
        try:
            while not (sdp.is_file() and sdp.read_text()):
                time.sleep(0.05)
            camera.sdp = sdp.read_text().partition("SDP:\n")[2] or sdp.read_text()
            serving.start()
            yield camera
        finally:
            process.kill()
            process.wait()
            if serving.is_alive() and not camera.unplugged.is_set():
                camera.unplug()
