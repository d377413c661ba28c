"""The tables that came after the verdicts': what is to be reviewed, what reviewers answered, who did what, shadows."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table, Text

from pipeline.records.schema import StoredText, UtcDateTime, metadata

AGED_OUT = "aged out"

# Parts chosen for review, by the key of their verdict. `chance` is the probability of having been chosen: 1 for
# flagged parts. `frame_file` and `picture` are paths relative to the home; `trace` is "" until MLflow has it. Retention
# empties paths and sets the trace to AGED_OUT before it removes what they name.
review_items = Table(
    "review_items",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("product", StoredText, nullable=False),
    Column("view", StoredText, nullable=False),
    Column("batch", StoredText, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("chance", Float, nullable=False),
    Column("frame_file", StoredText, nullable=False),
    Column("picture", StoredText, nullable=False),
    Column("queue", StoredText, nullable=False),
    Column("trace", String(64), nullable=False),
    Column("chosen_at", UtcDateTime, nullable=False),
    Column("pushed_at", UtcDateTime),
    Index("review_items_by_batch", "batch"),
)

# One row per answer as MLflow holds it; an answer that was changed since has a row for each state seen.
review_answers = Table(
    "review_answers",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("key", String(32), nullable=False),
    Column("question", String(64), nullable=False),
    Column("value", StoredText, nullable=False),
    Column("comment", StoredText, nullable=False),
    Column("reviewer", StoredText, nullable=False),
    Column("answered_at", UtcDateTime, nullable=False),
    Column("pulled_at", UtcDateTime, nullable=False),
    Index("review_answers_by_key", "key"),
)

# Append-only. `hash` is SHA-256 over the row and the hash before it, so that a changed row shows.
audit_log = Table(
    "audit_log",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("who", StoredText, nullable=False),
    Column("action", String(32), nullable=False),
    Column("product", StoredText, nullable=False),
    Column("view", StoredText, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

# Which golden a part was nearest to, by the key of its verdict, where a picture of the part was drawn.
nearest_goldens = Table(
    "nearest_goldens",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("golden", StoredText, nullable=False),
)

# What a challenger (by its bundle's digest) said of a frame that the champion judged; it decides nothing.
shadow_verdicts = Table(
    "shadow_verdicts",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("challenger", String(64), primary_key=True),
    Column("batch", StoredText, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("similarity", Float),
    Column("threshold", Float),
    Column("reason", StoredText),
    Column("regions", JSON, nullable=False),
    Column("evidence", StoredText),
    Index("shadow_verdicts_by_batch", "batch"),
)

# What happened to running lines: cameras lost, signals not acknowledged, drift. `id` keeps an event from being twice.
line_events = Table(
    "line_events",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("line", StoredText, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("said", StoredText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("sequence", Integer, nullable=False),
    Index("line_events_by_line", "line", "at"),
)

# How many rows of a batch have aged out of the verdicts, so that its counts stay what they were.
aged_batches = Table(
    "aged_batches",
    metadata,
    Column("batch", StoredText, primary_key=True),
    Column("product", StoredText, primary_key=True),
    Column("view", StoredText, primary_key=True),
    Column("verdict", String(16), primary_key=True),
    Column("rows", Integer, nullable=False),
)
