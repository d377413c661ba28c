"""The verdict records: one row per judged frame, in SQLite or PostgreSQL. The one room that imports the database."""

from pipeline.records.records import RecordedBatch, RowOrder, VerdictRecords
from pipeline.records.reviews import ReviewRecords

__all__ = ["RecordedBatch", "ReviewRecords", "RowOrder", "VerdictRecords"]
