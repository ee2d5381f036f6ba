"""What a repeated act is answered with, how many refusals a deny leaf stands for, whose enrolment nonce it is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("grant_body", sa.Column("last_act_state", sa.Integer(), nullable=True))
    op.add_column("grant_body", sa.Column("denies", sa.Integer(), nullable=False, server_default="0"))
    # They live for ten minutes; two of one key could not both stay.
    op.execute("DELETE FROM enrolment_nonce")
    op.create_index("ix_enrolment_nonce_thumbprint", "enrolment_nonce", ["thumbprint"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_enrolment_nonce_thumbprint", table_name="enrolment_nonce")
    op.drop_column("grant_body", "denies")
    op.drop_column("grant_body", "last_act_state")
