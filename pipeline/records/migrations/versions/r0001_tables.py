"""All tables as they were when Alembic came: a database of an earlier goldentwin has some of them, and keeps its rows.

Versions 1 to 3 of the time before differ in whole tables alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_text, _moment = sa.Text(), sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make what is missing."""
    op.create_table(
        "goldentwin_meta",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False),
        if_not_exists=True,
    )
    _verdicts()
    _reviews()
    _others()


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("key", sa.String(32), primary_key=True),
        *(sa.Column(name, _text, nullable=False) for name in ("frame", "part_id", "product", "view")),
        sa.Column("verdict", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Float()) for name in ("similarity", "distance", "threshold")),
        sa.Column("regions", sa.JSON(), nullable=False),
        sa.Column("reason", _text),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("encoder", "reference_set", "recipe")),
        sa.Column("calibration", sa.String(64), nullable=False),
        sa.Column("milliseconds", sa.Float()),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("frame_sha256", sa.String(64), nullable=False),
        *(sa.Column(name, _text, nullable=False) for name in ("batch", "station")),
        sa.Column("captured_at", _moment),
        sa.Column("judged_at", _moment, nullable=False),
        *(sa.Column(name, sa.Float()) for name in ("brightness", "focus", "registration_quality")),
        sa.Column("matrix", sa.JSON()),
        sa.Column("evidence", _text),
        if_not_exists=True,
    )
    op.create_index("verdicts_by_batch", "verdicts", ["batch"], if_not_exists=True)
    op.create_index("verdicts_by_frame", "verdicts", ["frame"], postgresql_using="hash", if_not_exists=True)


def _reviews() -> None:
    op.create_table(
        "review_items",
        sa.Column("key", sa.String(32), primary_key=True),
        *(sa.Column(name, _text, nullable=False) for name in ("product", "view", "batch")),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("chance", sa.Float(), nullable=False),
        *(sa.Column(name, _text, nullable=False) for name in ("frame_file", "picture", "queue")),
        sa.Column("trace", sa.String(64), nullable=False),
        sa.Column("chosen_at", _moment, nullable=False),
        sa.Column("pushed_at", _moment),
        if_not_exists=True,
    )
    op.create_index("review_items_by_batch", "review_items", ["batch"], if_not_exists=True)
    op.create_table(
        "review_answers",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("question", sa.String(64), nullable=False),
        *(sa.Column(name, _text, nullable=False) for name in ("value", "comment", "reviewer")),
        *(sa.Column(name, _moment, nullable=False) for name in ("answered_at", "pulled_at")),
        if_not_exists=True,
    )
    op.create_index("review_answers_by_key", "review_answers", ["key"], if_not_exists=True)


def _others() -> None:
    op.create_table(
        "audit_log",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("who", _text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        *(sa.Column(name, _text, nullable=False) for name in ("product", "view", "evidence")),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("previous", "hash")),
        if_not_exists=True,
    )
    op.create_table(
        "nearest_goldens",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("golden", _text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "shadow_verdicts",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("challenger", sa.String(64), primary_key=True),
        sa.Column("batch", _text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Float()) for name in ("similarity", "threshold")),
        sa.Column("reason", _text),
        sa.Column("regions", sa.JSON(), nullable=False),
        sa.Column("evidence", _text),
        if_not_exists=True,
    )
    op.create_index("shadow_verdicts_by_batch", "shadow_verdicts", ["batch"], if_not_exists=True)
    op.create_table(
        "line_events",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("line", _text, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("said", _text, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("line_events_by_line", "line_events", ["line", "at"], if_not_exists=True)
    op.create_table(
        "aged_batches",
        *(sa.Column(name, _text, primary_key=True) for name in ("batch", "product", "view")),
        sa.Column("verdict", sa.String(16), primary_key=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        if_not_exists=True,
    )
