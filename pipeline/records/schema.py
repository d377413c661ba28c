"""The tables that verdicts are kept in, and how a judged frame becomes a row and back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
)

from inspection.verdicts import Provenance
from pipeline.frames import FrameVerdict, finite

REVISION = "0002"
"""The newest revision in `migrations`, which a database made today has."""
KNOWN_REVISIONS = ("0001", REVISION)
REVISION_TABLE = "goldentwin_revision"
"""Where Alembic keeps the revision: `alembic_version` is MLflow's or Prefect's where they share the database."""
BEFORE_REVISIONS = ("version 1", "version 2", "version 3", "version alembic")
"""What `goldentwin_meta` says without that table: from before Alembic, and from the days before it had this name."""
FOR_OLDER = {"name": "schema_version", "value": REVISION_TABLE}
"""What `goldentwin_meta` says beside that table, which no goldentwin from before it knows: it leaves all alone."""
KEY_COLUMNS = ("product", "view", "frame", "frame_sha256", "calibration", "encoder", "reference_set", "recipe")
_MOMENTS = ("captured_at", "judged_at")
_KEY_LENGTH = 32
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_BYTE = re.compile(r"\\udc([89a-f][0-9a-f])")


class StoredText(TypeDecorator[str]):
    r"""Text as any database takes it: NUL and lone surrogates (bytes of a file name that are no UTF-8) as `\udcff`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Escape what can't be stored."""
        return None if value is None else storable(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, time zone aware on both sides; SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC, and for SQLite without the zone."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

# Alembic's own, in the form it gives it, and outside our metadata as it wants it.
revision_table = Table(
    REVISION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{REVISION_TABLE}_pkc"),
)

# From before Alembic; see FOR_OLDER.
meta = Table(
    "goldentwin_meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(64), nullable=False),
)

# `key` is a digest over KEY_COLUMNS and not a composite constraint, because PostgreSQL refuses index entries above
# 2.7 kB and a frame's path may be longer; the index over frame names is a hash there for the same reason. `evidence`
# is null where no picture was drawn, "" where it has aged out.
verdicts = Table(
    "verdicts",
    metadata,
    Column("key", String(_KEY_LENGTH), primary_key=True),
    Column("frame", StoredText, nullable=False),
    Column("part_id", StoredText, nullable=False),
    Column("product", StoredText, nullable=False),
    Column("view", StoredText, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("similarity", Float),
    Column("distance", Float),
    Column("threshold", Float),
    Column("regions", JSON, nullable=False),
    Column("reason", StoredText),
    Column("encoder", String(64), nullable=False),
    Column("reference_set", String(64), nullable=False),
    Column("recipe", String(64), nullable=False),
    Column("calibration", String(64), nullable=False),
    Column("milliseconds", Float),
    Column("provisional", Boolean, nullable=False),
    Column("frame_sha256", String(64), nullable=False),
    Column("batch", StoredText, nullable=False),
    Column("station", StoredText, nullable=False),
    Column("captured_at", UtcDateTime),
    Column("judged_at", UtcDateTime, nullable=False),
    Column("brightness", Float),
    Column("focus", Float),
    Column("registration_quality", Float),
    Column("matrix", JSON(none_as_null=True)),
    Column("evidence", StoredText),
    Index("verdicts_by_age", "judged_at"),
    Index("verdicts_by_batch", "batch"),
    Index("verdicts_by_frame", "frame", postgresql_using="hash"),
)


def row_of(
    verdict: FrameVerdict, *, batch: str, station: str, evidence: str | None, judged_at: datetime
) -> dict[str, Any]:
    """The row of `verdicts` that keeps `verdict`; a missing calibration is stored as ""."""
    judgement = verdict.judgement
    values = verdict.to_dict()
    values |= {
        "calibration": values["calibration"] or "",
        "frame_sha256": verdict.frame.sha256,
        "batch": batch,
        "station": station,
        "captured_at": _moment(verdict.frame.captured_at),
        "judged_at": judged_at,
        "brightness": finite(judgement.brightness),
        "focus": finite(judgement.focus),
        "registration_quality": finite(judgement.registration_quality),
        "matrix": None if judgement.matrix is None else [[finite(x) for x in line] for line in judgement.matrix],
        "evidence": evidence,
    }
    return {"key": row_key(values), **values}


def row_text(row: Mapping[str, Any]) -> str:
    """A row of `verdicts` as one line of JSON, for keeping it until it can be written."""
    return json.dumps({**row, **{name: row[name] and row[name].isoformat() for name in _MOMENTS}})


def row_from_text(text: str) -> dict[str, Any]:
    """The row that `row_text` made `text` of.

    Raises:
        ValueError, KeyError: it is none.
    """
    values = json.loads(text)
    return {**values, **{name: values[name] and datetime.fromisoformat(values[name]) for name in _MOMENTS}}


def key_of(verdict: FrameVerdict) -> str:
    """The key of the row that keeps `verdict`."""
    return row_key({**verdict.to_dict(), "frame_sha256": verdict.frame.sha256})


def row_key(values: Mapping[str, Any]) -> str:
    """32 hex digits over the KEY_COLUMNS of `values`: the same frame judged on the same grounds has the same key."""
    canonical = json.dumps([storable(values[name] or "") for name in KEY_COLUMNS])
    return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_LENGTH]


def row_dict(row: Row[Any]) -> dict[str, Any]:
    """The stored row as plain JSON values: moments as ISO text in UTC, a missing calibration as None."""
    return plain_values(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's documented name


def plain_values(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `verdicts` as plain JSON values."""
    values = dict(stored)
    for name in _MOMENTS:
        values[name] = values[name].isoformat() if values[name] else None
    values["calibration"] = values["calibration"] or None
    return values


def grounds(provenance: Provenance) -> dict[str, str]:
    """`provenance` as the columns hold it."""
    return {
        "encoder": provenance.encoder,
        "reference_set": provenance.reference_set,
        "recipe": provenance.recipe,
        "calibration": provenance.calibration or "",
    }


def storable(text: str) -> str:
    r"""`text` with NUL and lone surrogates written as `\x00` and `\udcff`, which every database can hold."""
    return _UNSTORABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def original_name(stored: str) -> str:
    """The file name that `storable` made `stored` of."""
    return _ESCAPED_BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), stored)


def _moment(text: str) -> datetime | None:
    """The moment that ISO `text` names, read as UTC where it names no zone; None where it names no moment."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
