"""The first tables of a verifier."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request",
        sa.Column("handle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reader_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reader_key", sa.LargeBinary(), nullable=False),
        sa.Column("procedure", sa.String(), nullable=False),
        sa.Column("flow", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("client_id_prefix", sa.String(), nullable=False),
        sa.Column("response_mode", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("wire_state", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("stand_in", sa.String(), nullable=True),
        sa.Column("return_uri", sa.String(), nullable=True),
        sa.Column("kid", sa.String(), nullable=True),
        sa.Column("decryption_key", sa.LargeBinary(), nullable=True),
        sa.Column("encryption_jwk", sa.String(), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("error_description", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("handle_hash"),
        sa.UniqueConstraint("code_hash"),
    )
    op.create_index("ix_request_reader_hash", "request", ["reader_hash"])
    op.create_index("ix_request_expires", "request", ["expires"])
    op.create_table(
        "browser",
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("secret_hash"),
    )
    op.create_index("ix_browser_expires", "browser", ["expires"])


def downgrade() -> None:
    op.drop_table("browser")
    op.drop_table("request")
