"""The verdict records: one row per judged frame, in SQLite or PostgreSQL. The one room that imports the database."""

from pipeline.records.audit import Anchor, AuditLog, AuditRow, Break
from pipeline.records.records import RecordedBatch, RowOrder, VerdictRecords
from pipeline.records.reviews import ReviewRecords
from pipeline.records.shadows import ShadowRecords, ShadowVerdict

__all__ = [
    "Anchor",
    "AuditLog",
    "AuditRow",
    "Break",
    "RecordedBatch",
    "ReviewRecords",
    "RowOrder",
    "ShadowRecords",
    "ShadowVerdict",
    "VerdictRecords",
]
