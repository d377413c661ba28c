"""A real S3 API on loopback for tests: moto's server as a process, stopped and started again with what it held."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signal_receivers import free_port

BUCKET = "plant"
KEY = "test-key"
SECRET = "test-secret-that-no-message-may-hold"  # noqa: S105 - the test's own
START_SECONDS = 60.0


@dataclass(kw_only=True)
class S3Server:
    """A running server; `environment` is what its clients need."""

    log: Path
    bucket: str = BUCKET
    key: str = KEY
    secret: str = SECRET
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Of its API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The same variables as MLflow's."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it, empty, with the bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.environment)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.port):
            assert self.process.poll() is None, self.log.read_text(errors="replace")
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")
            time.sleep(0.1)
        self.client().create_bucket(Bucket=self.bucket)

    def stop(self) -> dict[str, bytes]:
        """End it at once; gives what it held, for moto forgets."""
        held = self.objects()
        self.kill()
        return held

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def start_again(self, held: dict[str, bytes]) -> None:
        """As after a power cut: at the same address, with what it held."""
        self.start()
        for key, data in held.items():
            self.client().put_object(Bucket=self.bucket, Key=key, Body=data)

    def client(self) -> Any:
        """A client for what a test looks at."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.address, aws_access_key_id=self.key, aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )  # fmt: skip

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Every object below a prefix, by its key."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return {key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """A server for the block."""
    server = S3Server(log=folder / "s3.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
