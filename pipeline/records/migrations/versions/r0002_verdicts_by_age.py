"""Verdicts are found by their age, for retention and for the newest night; the index of the first days goes."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index."""
    op.create_index("verdicts_by_age", "verdicts", ["judged_at"], if_not_exists=True)
    op.drop_index("verdicts_by_provenance", "verdicts", if_exists=True)
