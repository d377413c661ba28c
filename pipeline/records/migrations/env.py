"""Run by Alembic for each upgrade, in the locked transaction that `migrating.bring_up` was given."""

from __future__ import annotations

from alembic import context

from pipeline.records.schema import REVISION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=REVISION_TABLE,
    transactional_ddl=True,  # Alembic doubts it of SQLite, where it holds once BEGIN was said
)
with context.begin_transaction():
    context.run_migrations()
