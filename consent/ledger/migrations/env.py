"""Runs the migrations on the connection that ``consent.ledger.schema`` hands over."""

from alembic import context

from consent.ledger import duty_tables, log_tables

TABLES = (log_tables, duty_tables)
"""Each declares its part in one and the same metadata."""

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=TABLES[0].Table.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
