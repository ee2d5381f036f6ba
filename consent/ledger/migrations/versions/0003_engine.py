"""Packed grants; on PostgreSQL, partitions by grant id and numbers for more events than 32 bits count.

Every hot statement on a grant names its id, so it meets one partition; the same tables distribute
by it over machines later (DESIGN §10). ``event`` stays one table: it is the log's queue and then its
source, read in one order, and the place of a leaf is unique in it. ``use_request_seen`` and
``spent_proof`` hold two minutes. SQLite has no partitions and 64 bits everywhere.
"""

import sqlalchemy as sa
from alembic import op

from consent.ledger.packing import unpack

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARTITIONS = 16
"""A power of two, so that each can be split in halves without touching the others."""

# Some room on each page: a use changes its row in place, and no index hears of it.
_ROOM = {"grant_row": 90, "grant_body": 100, "ending": 100}
_KEYS = {"grant_row": "grant_id", "grant_body": "grant_id", "ending": "grant_id, counter"}


def upgrade() -> None:
    # A grant that is not packed stands for itself: what is there stays as it is until it is erased.
    if op.get_bind().dialect.name != "postgresql":
        op.add_column("grant_body", sa.Column("signed", sa.LargeBinary(), nullable=False, server_default=sa.text("''")))
        op.execute("UPDATE grant_body SET signed = CAST(grant_jws AS BLOB)")
        op.drop_column("grant_body", "grant_jws")
        return
    op.execute("ALTER TABLE grant_body ALTER COLUMN grant_jws DROP DEFAULT")
    op.execute("ALTER TABLE grant_body ALTER COLUMN grant_jws TYPE BYTEA USING convert_to(grant_jws, 'UTF8')")
    op.alter_column("grant_body", "grant_jws", new_column_name="signed")
    for table in _KEYS:
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_whole INCLUDING DEFAULTS) PARTITION BY HASH (grant_id)")
        for remainder in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE {table}_{remainder} PARTITION OF {table} "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder}) WITH (fillfactor = {_ROOM[table]})"
            )
        _move(f"{table}_whole", table)
    op.create_index("grant_row_account", "grant_row", ["account"])
    op.execute("ALTER TABLE event ALTER COLUMN sequence TYPE BIGINT")
    op.execute("ALTER SEQUENCE event_sequence_seq AS BIGINT")


def downgrade() -> None:
    op.add_column("grant_body", sa.Column("grant_jws", sa.String(), nullable=False, server_default=""))
    _unpack_all(op.get_bind())
    op.drop_column("grant_body", "signed")
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER SEQUENCE event_sequence_seq AS INTEGER")
    op.execute("ALTER TABLE event ALTER COLUMN sequence TYPE INTEGER")
    for table in _KEYS:
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_parted")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_parted INCLUDING DEFAULTS)")
        _move(f"{table}_parted", table)
    op.create_index("grant_row_account", "grant_row", ["account"])


def _unpack_all(connection: sa.Connection) -> None:
    bodies = connection.execute(sa.text("SELECT grant_id, signed, details FROM grant_body")).all()
    for grant_id, signed, details in bodies:
        grant_jws, first_details = unpack(bytes(signed))
        connection.execute(
            sa.text("UPDATE grant_body SET grant_jws = :jws, details = :details WHERE grant_id = :grant_id"),
            {"jws": grant_jws, "details": details or first_details, "grant_id": grant_id},
        )


def _move(old: str, new: str) -> None:
    """Keys come last: they are faster to build than to keep, and their names are free then."""
    op.execute(f"INSERT INTO {new} SELECT * FROM {old}")
    op.execute(f"DROP TABLE {old}")
    op.execute(f"ALTER TABLE {new} ADD PRIMARY KEY ({_KEYS[new]})")
