"""Notices, oppositions, the feed, deletions, journal roots, keys of accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_WAITING = sa.text("sequence IS NULL")


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("notice_id", sa.LargeBinary(), primary_key=True),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("jti", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("late_seconds", sa.Integer(), nullable=True),
        sa.UniqueConstraint("service", "jti"),
    )
    op.create_table(
        "notice_item",
        sa.Column("leaf_id", sa.LargeBinary(), primary_key=True),
        sa.Column("account", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("visible_from", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_notice_item_account", "notice_item", ["account"])
    op.create_table(
        "opposition",
        sa.Column("opposition_id", sa.LargeBinary(), primary_key=True),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_opposition_account", "opposition", ["account"])
    op.create_table(
        "frozen",
        sa.Column("grant_id", sa.LargeBinary(), primary_key=True),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_frozen_account", "frozen", ["account"])
    op.create_index("ix_frozen_until", "frozen", ["until"])
    op.create_table(
        "former_opening",
        sa.Column("grant_id", sa.LargeBinary(), primary_key=True),
        sa.Column("opening_key", sa.LargeBinary(), primary_key=True),
    )
    op.create_table(
        "feed_item",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("service", sa.Integer(), nullable=False),
        sa.Column("grant_id", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("status_index", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
    )
    op.create_index("feed_item_sequence", "feed_item", ["service", "sequence"], unique=True)
    op.create_index("feed_item_waiting", "feed_item", ["number"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_table(
        "feed_target",
        sa.Column("service", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "status_list",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("next", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "deletion",
        sa.Column("grant_id", sa.LargeBinary(), primary_key=True),
        sa.Column("service", sa.Integer(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("last_use", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("receipt", sa.String(), nullable=True),
    )
    op.create_index("ix_deletion_account", "deletion", ["account"])
    op.create_index("deletion_due", "deletion", ["state", "due"])
    op.create_table(
        "journal_root",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("jws_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("jws", sa.String(), nullable=False),
    )
    op.create_table(
        "account_key",
        sa.Column("thumbprint", sa.String(), primary_key=True),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("account_jwk", sa.String(), nullable=False),
        sa.Column("view_jwk", sa.String(), nullable=False),
        sa.Column("full_after", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_account_key_account", "account_key", ["account"])
    # The keys that accounts have today.
    op.execute(
        "INSERT INTO account_key (thumbprint, account, account_jwk, view_jwk, full_after, refused) "
        "SELECT thumbprint, number, account_jwk, view_jwk, full_after, false FROM account"
    )
    op.create_table(
        "recovery",
        sa.Column("recovery_id", sa.LargeBinary(), primary_key=True),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("full_after", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
    )
    op.create_index("ix_recovery_account", "recovery", ["account"])
    op.create_table(
        "opening_order",
        sa.Column("jti", sa.LargeBinary(), primary_key=True),
        sa.Column("grant_id", sa.LargeBinary(), nullable=False),
        sa.Column("order_hash", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_id", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "duty_cursor",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("place", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    for table in (
        "duty_cursor", "opening_order", "recovery", "account_key", "journal_root", "deletion", "status_list",
        "feed_target", "feed_item", "former_opening", "frozen", "opposition", "notice_item", "notice",
    ):  # fmt: skip
        op.drop_table(table)
