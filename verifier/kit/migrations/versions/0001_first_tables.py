"""The first tables of the kit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "known_grant",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("grant_hash", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("attributes", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id"),
    )
    op.create_table(
        "withdrawal",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("attributes", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("grant_id", "thumbprint", "attributes"),
    )
    op.create_index("ix_withdrawal_expires", "withdrawal", ["expires"])
    op.create_table(
        "asked",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("jws", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("grant_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("ix_asked_expires", "asked", ["expires"])
    op.create_index("ix_asked_outcome", "asked", ["outcome"])
    op.create_table(
        "held_grant",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("jws", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id"),
    )
    op.create_table(
        "seen_use",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "counter"),
    )
