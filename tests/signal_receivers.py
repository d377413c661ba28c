"""A real mosquitto for tests of the line, and who listens to it."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from programs import program

from inspection.verdicts import Verdict
from pipeline.signals import Signal

PATIENCE = 20.0


def signal_of(sequence: int, **others: object) -> Signal:
    """A signal of that number."""
    values = {
        "line": "line1",
        "sequence": sequence,
        "part_id": f"p{sequence}",
        "frame": f"line1/{sequence}",
        "product": "plate",
        "view": "default",
        "verdict": Verdict.PASS,
        "reason": None,
        "similarity": 0.75,
        "threshold": 0.5,
        "captured_at": "2026-03-01T10:00:00.000+00:00",
        "decided_at": "2026-03-01T10:00:00.050+00:00",
    }
    return Signal(**{**values, **others})


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what, seconds: float = PATIENCE):
    """Wait until `what()` is true and give it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.02)
    return found


@dataclass
class Broker:
    """A mosquitto that keeps retained messages over a restart."""

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            command = [program("mosquitto", "mosquitto"), "-c", str(self.folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._listens)

    def stop(self) -> None:
        """Stop it; what is retained is saved."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_broker(folder: Path, *, users: dict[str, str] | None = None) -> Iterator[Broker]:
    """A broker on a free loopback port; with `users`, only those come in."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "persistence true", f"persistence_location {folder}/", "user root"]
    if users:
        file = folder / "passwords"
        make = program("mosquitto_passwd", "mosquitto")
        for number, (name, password) in enumerate(users.items()):
            flags = ["-b"] if number else ["-b", "-c"]
            subprocess.run([make, *flags, str(file), name, password], check=True, capture_output=True)
        lines += ["allow_anonymous false", f"password_file {file}"]
    else:
        lines += ["allow_anonymous true"]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    broker = Broker(folder=folder, port=port)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@dataclass
class Subscriber:
    """Hears what a broker's line publishes, also while it is restarted."""

    port: int
    topics: tuple[str, ...]
    heard: list[tuple[str, dict]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Connect and subscribe."""
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        ready = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in self.topics])
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _c, _d, message: self.heard.append((message.topic, json.loads(message.payload)))
        self.client.reconnect_delay_set(0.2, 1)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert ready.wait(PATIENCE)

    def of(self, ending: str) -> list[dict]:
        """Payloads of the topics with that ending, each sequence once where a retained one came again."""
        return [payload for topic, payload in self.heard if topic.endswith(ending)]

    def publish(self, topic: str, text: str) -> None:
        """Publish with QoS 1."""
        self.client.publish(topic, text, qos=1).wait_for_publish(PATIENCE)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()
