"""The verdict records: one row per judged frame, in SQLite or PostgreSQL. The one room that imports the database."""

from pipeline.records.audit import Anchor, AuditLog, AuditRow, Break
from pipeline.records.database import examine_schema, upgrade_records
from pipeline.records.line_events import LineEventRecords
from pipeline.records.records import RecordedBatch, RowOrder, VerdictRecords
from pipeline.records.retention import OldRecord, PartUse, RetentionRecords
from pipeline.records.reviews import ReviewRecords
from pipeline.records.shadows import ShadowRecords, ShadowVerdict
from pipeline.records.spool import Spool, SpooledPart, SpoolFullError

__all__ = [
    "Anchor",
    "AuditLog",
    "AuditRow",
    "Break",
    "LineEventRecords",
    "OldRecord",
    "PartUse",
    "RecordedBatch",
    "RetentionRecords",
    "ReviewRecords",
    "RowOrder",
    "ShadowRecords",
    "ShadowVerdict",
    "Spool",
    "SpoolFullError",
    "SpooledPart",
    "VerdictRecords",
    "examine_schema",
    "upgrade_records",
]
