"""Sources of video for tests: files drawn frame by frame, MJPEG over HTTP from this process, ffmpeg over UDP."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from camera_samples import encoded, numbered
from numpy.typing import NDArray
from programs import program

RATE = 25


def write_video(path: Path, frames: int, *, rate: float = RATE) -> Path:
    """A video of numbered frames, 64 x 64 pixels, without loss."""
    return write_pictures(path, [numbered(number) for number in range(frames)], rate=rate)


def write_pictures(path: Path, pictures: list[NDArray[np.uint8]], *, rate: float = RATE) -> Path:
    """A video of RGB pictures of one size, MPEG-4 in `.mp4`, else without loss."""
    codec = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "FFV1"))
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, rate, (width, height))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()
    return path


def ffmpeg() -> str:
    """The program, or the test is skipped."""
    return program("ffmpeg", "ffmpeg")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def udp_stream(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Ffmpeg sends a moving test picture, 25 frames a second, as MPEG-TS to a port of this machine."""
    command = [ffmpeg(), "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
    command += ["-t", "120", "-c:v", "mpeg2video", "-g", "5", "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class MjpegServer:
    """A network camera: multipart JPEG over HTTP, numbered frames at a rate, until it is unplugged.

    `silent` makes it hold the connection and send nothing more, as a camera that hangs.
    """

    def __init__(self, port: int = 0, *, rate: float = RATE) -> None:
        self.silent = threading.Event()
        self.unplugged = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                number = 0
                try:
                    while not camera.unplugged.wait(1 / rate):
                        if camera.silent.is_set():
                            continue
                        data = encoded(number % 50, ".jpg")
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                        self.wfile.write(head.encode() + data + b"\r\n")
                        number += 1
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Its address, with the password that cameras like to have in it."""
        return f"http://admin:secret@127.0.0.1:{self.port}/video?token=1234"

    def unplug(self) -> None:
        """Close the connection and the port."""
        self.unplugged.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def mjpeg_server(port: int = 0, *, rate: float = RATE) -> Iterator[MjpegServer]:
    """The same, unplugged at the end."""
    server = MjpegServer(port, rate=rate)
    try:
        yield server
    finally:
        if not server.unplugged.is_set():
            server.unplug()


def took(begin: float) -> float:
    """Seconds since `time.monotonic()` was `begin`."""
    return time.monotonic() - begin
