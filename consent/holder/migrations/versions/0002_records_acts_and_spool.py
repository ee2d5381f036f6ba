"""Leaves of proven allows and their days, acts told at the door, first values, notices, the urgent spool."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("link_notice") as batch:
        batch.add_column(sa.Column("kind", sa.String(), nullable=False, server_default="link"))
        batch.add_column(sa.Column("grant_id", sa.String(), nullable=True))
    with op.batch_alter_table("release") as batch:
        batch.add_column(sa.Column("shown_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE release SET shown_at = at")
    op.create_table(
        "leaf_record",
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("leaf_id", sa.String(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("log", "leaf_index"),
    )
    op.create_index("ix_leaf_record_day", "leaf_record", ["day"])
    op.create_table(
        "stated_day",
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "told_act",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("pausing_act", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("amend_act", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("grant_id", "thumbprint"),
    )
    op.create_index("ix_told_act_expires", "told_act", ["expires"])
    op.create_table(
        "first_value",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("attribute", sa.String(), nullable=False),
        sa.Column("resolution", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("reaction", sa.String(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "attribute", "resolution"),
    )
    op.create_table(
        "spooled_notice",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("basis_request_hash", sa.String(), nullable=False),
        sa.Column("basis_request", sa.String(), nullable=False),
        sa.Column("mailboxes", sa.String(), nullable=False),
        sa.Column("spooled", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("basis_request_hash"),
    )
    op.create_index("ix_spooled_notice_state", "spooled_notice", ["state"])


def downgrade() -> None:
    for name in ("spooled_notice", "first_value", "told_act", "stated_day", "leaf_record"):
        op.drop_table(name)
    with op.batch_alter_table("release") as batch:
        batch.drop_column("shown_at")
    with op.batch_alter_table("link_notice") as batch:
        batch.drop_column("grant_id")
        batch.drop_column("kind")
