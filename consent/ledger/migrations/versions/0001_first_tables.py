"""The first tables of the consent service."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("claim_hash", sa.LargeBinary(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("account_jwk", sa.String(), nullable=False),
        sa.Column("view_jwk", sa.String(), nullable=False),
        sa.Column("full_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("claim_hash"),
        sa.UniqueConstraint("thumbprint"),
    )
    op.create_table(
        "declaration",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("declaration_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("typ", sa.String(), nullable=False),
        sa.Column("party", sa.Integer(), nullable=False),
        sa.Column("jws", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("declaration_id", "version"),
    )
    op.create_table(
        "ending",
        sa.Column("grant_id", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("mask", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "counter"),
    )
    op.create_table(
        "enrolment_nonce",
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce"),
    )
    op.create_index("ix_enrolment_nonce_expires", "enrolment_nonce", ["expires"])

    op.create_table(
        "event",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.LargeBinary(), nullable=True),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.String(), nullable=True),
        sa.Column("opened", sa.String(), nullable=True),
        sa.Column("receipt_id", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("leaf_index"),
        sa.UniqueConstraint("receipt_id"),
    )
    op.create_index("event_grant", "event", ["grant_id", "counter"])

    op.create_table(
        "grant_body",
        sa.Column("grant_id", sa.LargeBinary(), nullable=False),
        sa.Column("grant_jws", sa.String(), nullable=False),
        sa.Column("locator", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("opening_key", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.Column("last_act", sa.String(), nullable=True),
        sa.Column("last_act_counter", sa.Integer(), nullable=True),
        sa.Column("last_deny", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("grant_id"),
    )
    op.create_table(
        "grant_row",
        sa.Column("grant_id", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("mask", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("act", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("window_start", sa.Integer(), nullable=False),
        sa.Column("window_uses", sa.Integer(), nullable=False),
        sa.Column("window_max", sa.Integer(), nullable=False),
        sa.Column("window_seconds", sa.Integer(), nullable=False),
        sa.Column("status_index", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("grant_row_account", "grant_row", ["account"])

    op.create_table(
        "mailbox",
        sa.Column("mailbox", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox"),
    )
    op.create_index("ix_mailbox_account", "mailbox", ["account"])

    op.create_table(
        "noted_withdrawal",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.LargeBinary(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("attributes", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("grant_id", "thumbprint", "attributes"),
    )
    op.create_index("ix_noted_withdrawal_expires", "noted_withdrawal", ["expires"])
    op.create_index("ix_noted_withdrawal_grant_id", "noted_withdrawal", ["grant_id"])

    op.create_table(
        "party",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("party_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("party_id"),
    )
    op.create_table(
        "purpose",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("iri", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("iri"),
    )
    op.create_table(
        "request",
        sa.Column("request_id", sa.LargeBinary(), nullable=False),
        sa.Column("service", sa.Integer(), nullable=False),
        sa.Column("jws", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("mailbox", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("ix_request_mailbox", "request", ["mailbox"])

    op.create_table(
        "spent_proof",
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thumbprint", "jti"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_spent_proof_expires", "spent_proof", ["expires"])

    op.create_table(
        "use_request_seen",
        sa.Column("service", sa.Integer(), nullable=False),
        sa.Column("jti", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "jti"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_use_request_seen_expires", "use_request_seen", ["expires"])


def downgrade() -> None:
    for table in (
        "use_request_seen", "spent_proof", "request", "purpose", "party", "noted_withdrawal", "mailbox", "grant_row",
        "grant_body", "event", "enrolment_nonce", "ending", "declaration", "account",
    ):  # fmt: skip
        op.drop_table(table)
