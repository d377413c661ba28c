"""A real nginx with the site of docker/proxy, on a loopback port, with a certificate made for the test."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificates import self_signed
from programs import program
from signal_receivers import free_port

TEMPLATE = Path(__file__).resolve().parents[1] / "docker" / "proxy" / "default.conf.template"
NAME = "plant.example"
START_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A running proxy; `certificate` is what clients are to trust."""

    port: int
    certificate: Path

    @property
    def address(self) -> str:
        """By the name it serves; tests let that name lead here."""
        return f"https://{NAME}:{self.port}"

    def context(self) -> ssl.SSLContext:
        """A client's, which trusts it and nobody else."""
        return ssl.create_default_context(cafile=str(self.certificate))


@contextmanager
def running_proxy(folder: Path, *, mlflow: str, prefect: str, line: str) -> Iterator[Proxy]:
    """Nginx in front of these (`host:port`), as its own image fills the template in; gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(port=free_port(), certificate=self_signed(folder, NAME, host=NAME)[0])
    values = {"NAME": NAME, "MLFLOW": mlflow, "PREFECT": prefect, "LINE": line}
    site = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], TEMPLATE.read_text(encoding="utf-8"))
    site = site.replace("listen 443", f"listen 127.0.0.1:{proxy.port}")
    site = site.replace("/etc/nginx/certificates/plant.crt", str(proxy.certificate))
    site = site.replace("/etc/nginx/certificates/plant.key", str(folder / f"{NAME}-key.pem"))
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(_around(folder))
    command = [program("nginx", "nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "nginx.log"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        _wait(proxy, process, folder)
        yield proxy
    finally:
        process.terminate()
        process.wait(30)


def _around(folder: Path) -> str:
    """What Debian's and the image's nginx.conf have around the site, with every file in the test's folder."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    places = "".join(
        f"    {name}_temp_path {folder / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"{user}pid {folder / 'nginx.pid'};\nworker_processes 1;\nevents {{ worker_connections 256; }}\n"
        f"http {{\n    access_log {folder / 'access.log'};\n{places}    include {folder / 'site.conf'};\n}}\n"
    )


def _wait(proxy: Proxy, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", proxy.port)) == 0:
                return
        assert process.poll() is None, (folder / "nginx.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
