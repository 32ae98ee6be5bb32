"""Where alembic begins: runs revisions on the connection that `limner_provenance.migrate` hands over."""

from __future__ import annotations

from alembic import context

from limner_provenance.tables import AuditBase


def run() -> None:
    """Run the revisions inside the caller's transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=AuditBase.metadata, transactional_ddl=False)
    context.run_migrations()


run()
