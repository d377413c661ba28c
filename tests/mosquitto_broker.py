"""A real MQTT broker for tests: a free loopback port, its own folder, gone afterwards."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from programs import program

START_SECONDS = 30
SETTINGS = """\
user root
persistence true
persistence_location {folder}/
max_queued_messages 0
listener {port} 127.0.0.1
"""
USER, PASSWORD = "cell7", "p@ss/word#1"  # signs that an address has to encode


def free_port() -> int:
    """A port of the loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """mosquitto on one port; what is retained survives `stop` and `start`."""

    def __init__(self, folder: Path, *, settings: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self.program = program("mosquitto", "mosquitto")
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir()
        (folder / "mosquitto.conf").write_text(SETTINGS.format(folder=folder, port=self.port) + settings)

    def address(self, *, credentials: str = "", options: str = "", scheme: str = "mqtt") -> str:
        """An address for `--signal` with the prefix `plant`."""
        return f"{scheme}://{credentials}127.0.0.1:{self.port}/plant{options}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            command = [self.program, "-c", str(self.folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it cleanly; it writes down what is retained."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        if self.process is not None:
            self.process.wait(timeout=START_SECONDS)

    def freeze(self) -> None:
        """It takes connections and bytes, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on with what came in meanwhile."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


@contextmanager
def running_broker(folder: Path, *, settings: str = "allow_anonymous true") -> Iterator[Broker]:
    """Start a broker and stop it at the end."""
    broker = Broker(folder, settings=settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def password_settings(folder: Path) -> str:
    """Settings of a broker that lets only `USER` with `PASSWORD` in."""
    file = folder / "passwords"
    file.write_text("")
    subprocess.run(["mosquitto_passwd", "-b", file, USER, PASSWORD], check=True, capture_output=True)
    return f"allow_anonymous false\npassword_file {file}"


class Listener:
    """Somebody else at the broker: keeps what comes on `topic`, and can publish."""

    def __init__(self, port: int, topic: str) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        name = f"listener-{uuid.uuid4().hex}"
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_message = lambda _c, _u, message: self.messages.append(message)
        self.ready = False
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.connect("127.0.0.1", port)
        self.client.reconnect_delay_set(1, 1)
        self.client.loop_start()
        self.wait(lambda: self.ready)

    def payloads(self) -> list[bytes]:
        """What came, in order."""
        return [bytes(message.payload) for message in list(self.messages)]

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish and wait for the broker."""
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def wait(self, condition, *, seconds: float = 20.0) -> None:
        """Wait until `condition` holds; fails when it does not come."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"did not come: {self.payloads()[-3:]}"
            time.sleep(0.01)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()
