"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes  # AutoString appears in what alembic writes for SQLModel columns
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Entries are never rewritten: add tables, columns and triggers only."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """The audit log is never taken back to an older schema."""
    raise NotImplementedError
