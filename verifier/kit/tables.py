"""The tables of the kit: requests under way, grants, and the door's. No attribute value is kept."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table

from consent.door import tables as door

metadata = MetaData()

for _table in (door.known_grant, door.withdrawal):
    _table.to_metadata(metadata)

asked = Table(
    "asked",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("jws", String, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    # Null while nobody has answered; then ``given`` with its grant, ``refused`` or ``expired``.
    Column("outcome", String, nullable=True, index=True),
    Column("grant_id", String, nullable=True),
)

# Forgotten when the grant is withdrawn; the door's row stays, to refuse.
held_grant = Table(
    "held_grant",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("jws", String, nullable=False),
    # Its authorization detail (JSON), as it was verified when it came.
    Column("detail", String, nullable=False),
)

# One leaf proves one answer: a counter that came once is refused the second time.
seen_use = Table(
    "seen_use",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("counter", Integer, primary_key=True, autoincrement=False),
)
