"""A real OPC UA server for tests, in a process of its own so that it can be stopped, frozen and started.

`python plc_server.py PORT LINES [CERTIFICATE KEY]` serves, for each of LINES (JSON: name to names and types), a node
`ns=2;s=NAME` with those variables, and one `Seen`: what stood in them whenever `Sequence` changed. It lets in who names
no user, and who names the right one; with a certificate only who encrypts.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from asyncua import Node, Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager
from asyncua.sync import Client

USER, PASSWORD = "cell7", "p@ss/word1"
TYPES = {
    "Begin": "UInt32",
    "Verdict": "String",
    "Sequence": "UInt32",
    "PartId": "String",
    "Similarity": "Float",
    "Reason": "String",
    "Late": "Boolean",
    "Provisional": "Boolean",
    "State": "String",
    "Heartbeat": "UInt16",
    "Acknowledged": "UInt32",
}
START_SECONDS = 40


class PlcServer:
    """The server of some lines, `Line0` to `Line9` by default, all with the variables of `TYPES`."""

    def __init__(self, folder: Path, lines: dict[str, dict[str, str]] | None = None, *certificate: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        lines = {**{f"Line{number}": TYPES for number in range(10)}, **(lines or {})}
        self.arguments = [str(self.port), json.dumps(lines), *map(str, certificate)]
        self.log = folder / "plc.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, __file__, *self.arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self.log.read_text()) from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Kill it, like a power cut."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=START_SECONDS)

    def freeze(self) -> None:
        """It answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Plc:
    """One line's node, as its programmer sees it."""

    server: PlcServer
    node: str

    def address(self, options: str = "", credentials: str = "") -> str:
        """An address for `--signal`."""
        return f"opc.tcp://{credentials}127.0.0.1:{self.server.port}?node=ns=2;s={self.node}&timeout=2{options}"

    def read(self, *names: str) -> list:
        """The values of its variables."""
        with Client(f"opc.tcp://127.0.0.1:{self.server.port}") as client:
            return [client.get_node(f"ns=2;s={self.node}.{name}").read_value() for name in names]

    def acknowledge(self, *sequences: int) -> None:
        """Write `Acknowledged`, one after the other."""
        with Client(f"opc.tcp://127.0.0.1:{self.server.port}") as client:
            for sequence in sequences:
                value = ua.DataValue(ua.Variant(sequence, ua.VariantType.UInt32))
                client.get_node(f"ns=2;s={self.node}.Acknowledged").write_value(value)
                time.sleep(0.1)


async def _serve(port: int, lines: dict[str, dict[str, str]], certificate: list[str]) -> None:
    server = Server(user_manager=_Guard())
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    policy = ua.SecurityPolicyType.NoSecurity
    if certificate:
        policy = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
        await server.load_certificate(certificate[0])
        await server.load_private_key(certificate[1])
    server.set_security_policy([policy])
    await server.register_namespace("urn:plc")
    nodes = {name: await _add(server, name, types) for name, types in lines.items()}
    seen: dict[str, list] = {name: [[0, ""]] for name in lines}
    async with server:
        while True:
            await asyncio.sleep(0.005)
            for name, variables in nodes.items():
                sequence = await variables["Sequence"].read_value()
                if sequence != seen[name][-1][0]:
                    seen[name].append([sequence, await variables["Verdict"].read_value()])
                    await variables["Seen"].write_value(json.dumps(seen[name][1:]))


async def _add(server: Server, line: str, types: dict[str, str]) -> dict[str, Node]:
    parent = await server.nodes.objects.add_object(ua.NodeId(line, 2), ua.QualifiedName(line, 2))
    nodes = {}
    for name, type_name in {**types, "Seen": "String"}.items():
        start = {"String": "", "Boolean": False}.get(type_name, 0)
        node_id, called = ua.NodeId(f"{line}.{name}", 2), ua.QualifiedName(name, 2)
        nodes[name] = await parent.add_variable(node_id, called, start, varianttype=ua.VariantType[type_name])
        await nodes[name].set_writable()
    return nodes


class _Guard(UserManager):
    def get_user(self, iserver, username=None, password=None, certificate=None):  # noqa: ARG002 - so called
        known = username is None or (username, password) == (USER, PASSWORD)
        return User(role=UserRole.User) if known else None


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
