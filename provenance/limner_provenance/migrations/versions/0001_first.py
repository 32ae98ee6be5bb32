"""The first schema: entries, payloads, assets, tiles, checkpoints, erasures and the triggers that keep them.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op

from limner_provenance import ddl_postgres, postgres_schema
from limner_provenance.ddl import FIRST
from limner_provenance.schema import is_postgres

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything."""
    connection = op.get_bind()
    if is_postgres(connection):
        postgres_schema.run(connection, ddl_postgres.FIRST)
        return
    for statement in FIRST:
        op.execute(statement)


def downgrade() -> None:
    """There is nothing before the first version, and entries are never rewritten."""
    raise NotImplementedError("the audit log is never taken back to an older schema")
