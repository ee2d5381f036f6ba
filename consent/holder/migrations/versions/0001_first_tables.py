"""The first tables of a data holder."""

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
        "link",
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("jwk", sa.String(), nullable=False),
        sa.Column("mailbox", sa.String(), nullable=False),
        sa.Column("row_key", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handle"),
        sa.UniqueConstraint("thumbprint"),
    )
    op.create_index("ix_link_row_key", "link", ["row_key"])
    op.create_table(
        "link_notice",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_link_notice_handle", "link_notice", ["handle"])
    op.create_table(
        "grant_use",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_uses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id"),
    )
    op.create_table(
        "release",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("use_id", sa.String(), nullable=False),
        sa.Column("use_request_hash", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("row_key", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("use_id"),
        sa.UniqueConstraint("use_request_hash"),
        sa.UniqueConstraint("grant_id", "counter"),
    )
    op.create_index("release_row", "release", ["row_key", "number"])
    op.create_table(
        "stored_answer",
        sa.Column("use_request_hash", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("use_request_hash"),
    )
    op.create_index("ix_stored_answer_expires", "stored_answer", ["expires"])
    op.create_table(
        "spent_proof",
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thumbprint", "jti"),
    )
    op.create_index("ix_spent_proof_expires", "spent_proof", ["expires"])


def downgrade() -> None:
    for name in (
        "spent_proof",
        "stored_answer",
        "release",
        "grant_use",
        "link_notice",
        "link",
        "withdrawal",
        "known_grant",
    ):
        op.drop_table(name)
