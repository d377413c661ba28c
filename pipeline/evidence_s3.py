"""Evidence in S3: the same names below a prefix of a bucket. The one place that knows boto3."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from inspection.errors import EvidenceError
from pipeline.evidence_store import FOLDER, URL_VARIABLE, EvidenceAge, batch_of, checked

if TYPE_CHECKING:
    from pipeline.evidence_store import EvidenceStore

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
ATTEMPTS: Final = 2
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LEVEL: Final = re.compile(r"[A-Za-z0-9!_.*'()=-]+")
_GONE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_REMEDY: Final = {
    "NoSuchBucket": f"make the bucket, or mend {URL_VARIABLE}",
    "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the files that their ..._FILE name",
    "AccessDenied": "let this user get, put, delete and list there",
    "403": "let this user get, put, delete and list there",
    "InvalidAccessKeyId": "mend AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "mend AWS_SECRET_ACCESS_KEY",
}
_USUAL_REMEDY: Final = "start it, or mend MLFLOW_S3_ENDPOINT_URL or AWS_ENDPOINT_URL_S3"


class S3Store:
    """Pictures as objects: `evidence/a/b.jpg` is `<prefix>/a/b.jpg`; see `EvidenceStore`.

    Args:
        address: `s3://bucket` or `s3://bucket/prefix`.
        before: where pictures lay before there was a bucket; what is there stays there, and is found there.

    Raises:
        EvidenceError: the address is none, or boto3 is not installed.
    """

    def __init__(self, address: str, *, before: EvidenceStore) -> None:
        self._bucket, self._prefix = _parsed(address)
        self._before = before
        self._client = _client(
            os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
            os.environ.get("AWS_ACCESS_KEY_ID"),
            os.environ.get("AWS_PROFILE"),
        )

    def write(self, evidence: str, data: bytes) -> None:
        """Keep a picture whole or not at all; one of the same name is replaced."""
        with self._told("evidence can't be written to"):
            self._client.put_object(Bucket=self._bucket, Key=self._key(evidence), Body=data, ContentType="image/jpeg")

    def read(self, evidence: str) -> bytes | None:
        """The picture's bytes; None where it is gone."""
        key = self._key(evidence)
        with self._told("evidence can't be read from"):
            try:
                return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
            except self._client.exceptions.ClientError as error:
                if _code(error) not in _GONE:
                    raise
        return self._before.read(evidence)

    def has(self, evidence: str) -> bool:
        """Whether it is there."""
        key = self._key(evidence)
        with self._told("evidence can't be looked for in"):
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except self._client.exceptions.ClientError as error:
                if _code(error) not in _GONE:
                    raise
            else:
                return True
        return self._before.has(evidence)

    def ages(self) -> Iterator[EvidenceAge]:
        """Every picture there is, those of a batch one after the other."""
        yield from self._before.ages()
        with self._told("evidence can't be listed in"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    evidence = f"{FOLDER}/{found['Key'].removeprefix(self._prefix)}"
                    yield EvidenceAge(
                        evidence=evidence,
                        batch=batch_of(evidence),
                        modified=found["LastModified"],
                        size=int(found["Size"]),
                    )

    def examine(self) -> str:
        """Where pictures lie, in words, once it has answered; changes nothing there."""
        with self._told("evidence can't be listed in"):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        return f"s3://{self._bucket}/{self._prefix} answers"

    def remove(self, evidence: str) -> None:
        """Remove a picture for good; removing it again changes nothing."""
        key = self._key(evidence)
        self._before.remove(evidence)
        with self._told("evidence can't be removed from"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _key(self, evidence: str) -> str:
        """Below the prefix, whatever the name: `checked` lets nothing out."""
        return self._prefix + checked(evidence).removeprefix(f"{FOLDER}/")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What boto3 raises as our own error: no address with a password in it, no key, no signed request."""
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - only who keeps evidence in S3 needs it
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415

        try:
            yield
        except ClientError as error:
            reason = _code(error)
        except (BotoCoreError, Boto3Error, HTTPClientError, ValueError) as error:
            reason = type(error).__name__
        else:
            return
        remedy = _REMEDY.get(reason, _USUAL_REMEDY)
        message = f"{what} s3://{self._bucket}/{self._prefix} ({reason}); {remedy}"
        raise EvidenceError(message) from None


def _parsed(address: str) -> tuple[str, str]:
    """Bucket, and prefix with its last slash, "" for none."""
    asked = urlsplit(address)
    levels = [level for level in asked.path.split("/")[1:] if level] if asked.path.strip("/") else []
    plain = all(_LEVEL.fullmatch(level) and level not in {".", ".."} for level in levels)
    if asked.scheme != "s3" or not _BUCKET.fullmatch(asked.netloc) or not plain or asked.query or asked.fragment:
        message = f"{URL_VARIABLE} is no address of a bucket; write it as s3://bucket/prefix, without any password"
        raise EvidenceError(message)
    return asked.netloc, "".join(f"{level}/" for level in levels)


@lru_cache(maxsize=4)
def _client(endpoint: str | None, _key: str | None, _profile: str | None) -> Any:
    """A client that threads share; another one for another endpoint or user.

    Raises:
        EvidenceError: boto3 is not installed, or what the environment says of S3 makes no sense.
    """
    try:
        import boto3  # noqa: PLC0415 - an extra
        from botocore.config import Config  # noqa: PLC0415 - comes with it
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError as error:
        message = f"{URL_VARIABLE} names S3, but boto3 is not installed; pip install 'goldentwin[s3]'"
        raise EvidenceError(message) from error
    patience = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    try:
        return boto3.session.Session().client("s3", endpoint_url=endpoint, config=patience)
    except (BotoCoreError, ValueError) as error:
        message = f"S3 can't be used ({type(error).__name__}); mend MLFLOW_S3_ENDPOINT_URL and the AWS_* variables"
        raise EvidenceError(message) from None


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", type(error).__name__))
