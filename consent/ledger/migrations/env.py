"""Runs the migrations on the connection that ``consent.ledger.schema`` hands over."""

from alembic import context

from consent.ledger.log_tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
