"""Periods, group codes, leaves that wait for their time."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UNPLACED = sa.text("leaf_index IS NULL")


def upgrade() -> None:
    op.add_column("event", sa.Column("due", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("event", sa.Column("promised", sa.BigInteger(), nullable=True))
    op.create_index("event_unplaced", "event", ["due", "sequence"], sqlite_where=_UNPLACED, postgresql_where=_UNPLACED)
    op.add_column("grant_body", sa.Column("leaf_codes", sa.LargeBinary(), nullable=True))
    op.create_table(
        "account_closing",
        sa.Column("account", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "log_period",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("first", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "leaf_group",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("services", sa.String(), nullable=False),
        sa.Column("purposes", sa.String(), nullable=False),
    )
    op.create_table(
        "pair_day",
        sa.Column("service", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("purpose", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("grants", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    for table in ("pair_day", "leaf_group", "log_period", "account_closing"):
        op.drop_table(table)
    op.drop_column("grant_body", "leaf_codes")
    op.drop_index("event_unplaced", table_name="event")
    op.drop_column("event", "promised")
    op.drop_column("event", "due")
