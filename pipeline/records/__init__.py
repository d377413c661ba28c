"""The verdict records: one row per judged frame, in SQLite or PostgreSQL. The one room that imports the database."""

from pipeline.records.records import RecordedBatch, RowOrder, VerdictRecords

__all__ = ["RecordedBatch", "RowOrder", "VerdictRecords"]
