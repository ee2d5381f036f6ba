"""A number of an account is given once: SQLite gives the largest free one again, a sequence of PostgreSQL does not.

A grant that is on its way while its account is erased would else belong to whoever comes next.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = "number, claim_hash, thumbprint, account_jwk, view_jwk, full_after"


def upgrade() -> None:
    _again(autoincrement=True)


def downgrade() -> None:
    _again(autoincrement=False)


def _again(*, autoincrement: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.rename_table("account", "account_before")
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
        sqlite_autoincrement=autoincrement,
    )
    op.execute(f"INSERT INTO account ({_COLUMNS}) SELECT {_COLUMNS} FROM account_before")
    op.drop_table("account_before")
