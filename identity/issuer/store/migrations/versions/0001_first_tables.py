"""The first tables of an issuer."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "authorization_code",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=False),
        sa.Column("code_challenge", sa.String(), nullable=False),
        sa.Column("jkt", sa.String(), nullable=True),
        sa.Column("configurations", sa.String(), nullable=False),
        sa.Column("by_details", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.Boolean(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("code_hash"),
    )
    op.create_index(op.f("ix_authorization_code_expires"), "authorization_code", ["expires"])
    op.create_table(
        "credential",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=False),
        sa.Column("configuration", sa.String(), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("person_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("flipped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("credential_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("credential_of_issuance", "credential", ["issuance", "configuration", "dataset"], unique=True)
    op.create_index(op.f("ix_credential_person_hash"), "credential", ["person_hash"])
    op.create_table(
        "issuance",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.Column("jkt", sa.String(), nullable=True),
        sa.Column("configurations", sa.String(), nullable=False),
        sa.Column("by_details", sa.Boolean(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_issuance_expires"), "issuance", ["expires"])
    op.create_table(
        "issuer_state",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("configurations", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state_hash"),
    )
    op.create_index(op.f("ix_issuer_state_expires"), "issuer_state", ["expires"])
    op.create_table(
        "offer_document",
        sa.Column("reference_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reference_hash"),
    )
    op.create_index(op.f("ix_offer_document_expires"), "offer_document", ["expires"])
    op.create_table(
        "pre_authorized",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tx_code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("configurations", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("code_hash"),
    )
    op.create_index(op.f("ix_pre_authorized_expires"), "pre_authorized", ["expires"])
    op.create_table(
        "pushed_request",
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("redirect_uri", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("code_challenge", sa.String(), nullable=False),
        sa.Column("jkt", sa.String(), nullable=True),
        sa.Column("configurations", sa.String(), nullable=False),
        sa.Column("by_details", sa.Boolean(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("request_hash"),
    )
    op.create_index(op.f("ix_pushed_request_expires"), "pushed_request", ["expires"])
    op.create_table(
        "revoked_place",
        sa.Column("list", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("list", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spent",
        sa.Column("purpose", sa.Integer(), nullable=False),
        sa.Column("value_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "value_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_spent_expires"), "spent", ["expires"])
    op.create_table(
        "status_list",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("order_key", sa.LargeBinary(), nullable=False),
        sa.Column("given_out", sa.Integer(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("signed_changes", sa.Integer(), nullable=False),
        sa.Column("signed_expires", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "upkeep",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task"),
    )
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=False),
        sa.Column("configurations", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["issuance"], ["issuance.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index(op.f("ix_access_token_expires"), "access_token", ["expires"])
    op.create_index(op.f("ix_access_token_issuance"), "access_token", ["issuance"])
    op.create_table(
        "card_session",
        sa.Column("session", sa.LargeBinary(), nullable=False),
        sa.Column("cookie_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("challenges", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["request_hash"], ["pushed_request.request_hash"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session"),
    )
    op.create_index(op.f("ix_card_session_request_hash"), "card_session", ["request_hash"])
    op.create_table(
        "copy",
        sa.Column("list", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("credential", sa.Integer(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential"],
            ["credential.number"],
        ),
        sa.PrimaryKeyConstraint("list", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_copy_credential"), "copy", ["credential"])
    op.create_index(op.f("ix_copy_expires"), "copy", ["expires"])
    op.create_table(
        "deferred",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=False),
        sa.Column("configuration", sa.String(), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("keys", sa.String(), nullable=False),
        sa.Column("person_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("requested", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["issuance"], ["issuance.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("transaction_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_deferred_expires"), "deferred", ["expires"])
    op.create_index(op.f("ix_deferred_person_hash"), "deferred", ["person_hash"])
    op.create_table(
        "notification",
        sa.Column("notification_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=False),
        sa.Column("credential", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["issuance"], ["issuance.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("notification_hash"),
    )
    op.create_index(op.f("ix_notification_expires"), "notification", ["expires"])
    op.create_table(
        "refresh_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issuance", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["issuance"], ["issuance.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_refresh_token_issuance"), "refresh_token", ["issuance"])
    op.create_table(
        "challenge",
        sa.Column("session", sa.LargeBinary(), nullable=False),
        sa.Column("random", sa.String(), nullable=False),
        sa.Column("binding", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["card_session.session"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session"),
    )
