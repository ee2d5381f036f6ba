"""Accreditations of services, and mandates to act for an account."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accreditation",
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("vct", sa.String(), nullable=False),
        sa.Column("accreditor", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("status_uri", sa.String(), nullable=False),
        sa.Column("status_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "vct", "accreditor"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mandate",
        sa.Column("mandate_id", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("jwk", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("verbs", sa.String(), nullable=False),
        sa.Column("purposes", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("status_uri", sa.String(), nullable=False),
        sa.Column("status_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mandate_id"),
        sa.UniqueConstraint("thumbprint"),
    )
    op.create_index("ix_mandate_account", "mandate", ["account"])


def downgrade() -> None:
    op.drop_table("mandate")
    op.drop_table("accreditation")
