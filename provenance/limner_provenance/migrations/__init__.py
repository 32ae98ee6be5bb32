"""alembic's revisions of the audit database, shipped as data of this package; run by `limner_provenance.migrate`."""
