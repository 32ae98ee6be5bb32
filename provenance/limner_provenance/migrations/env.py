"""Where alembic begins: runs revisions on the connection that `limner_provenance.migrate` hands over."""

from __future__ import annotations

from alembic import context

from limner_provenance.postgres_schema import schema_of
from limner_provenance.schema import is_postgres
from limner_provenance.tables import AuditBase


def run() -> None:
    """Run the revisions inside the caller's transaction."""
    connection = context.config.attributes["connection"]
    # The caller's transaction holds everything; in PostgreSQL the search path alone would make tables of the system.
    schema = schema_of(connection) if is_postgres(connection) else None
    context.configure(
        connection=connection,
        target_metadata=AuditBase.metadata,
        transactional_ddl=False,
        version_table_schema=schema,
    )
    context.run_migrations()


run()
