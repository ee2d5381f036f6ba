"""The tables of the kit: requests under way, grants and what the feed says of them, decision receipts, what must be
deleted when, and the door's. No attribute value is kept.
"""

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, UniqueConstraint

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

# What the service can show for each answer it got, for good: which leaf, to which request. No value.
decision_receipt = Table(
    "decision_receipt",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("grant_id", String, nullable=False),
    Column("counter", Integer, nullable=False),
    Column("use_id", String, nullable=False),
    # Null where an urgent answer came before its notice was logged.
    Column("leaf_index", BigInteger, nullable=True),
    Column("at", BigInteger, nullable=False),
    Column("holder", String, nullable=False),
    Column("purpose", String, nullable=False),
    # A JSON list of names.
    Column("attributes", String, nullable=False),
    Column("request", String, nullable=False),
    # The log's proof, or the data holder's statement that it will be logged.
    Column("proof", String, nullable=False),
    UniqueConstraint("grant_id", "counter"),
)

# What was read and is still held: until when, and the receipt that it is deleted (ADR 0009, D8).
held_data = Table(
    "held_data",
    metadata,
    Column("grant_id", String, primary_key=True),
    # A JSON list of names.
    Column("attributes", String, nullable=False),
    Column("last_use", BigInteger, nullable=False),
    Column("life_seconds", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    # When the grant ended before its time.
    Column("ended_at", BigInteger, nullable=True),
    Column("receipt", String, nullable=True),
    Column("received", Boolean, nullable=False),
)

# What the feed said last of a grant (D7).
told_state = Table(
    "told_state",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("counter", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("status_uri", String, nullable=False),
    Column("status_index", BigInteger, nullable=False),
)

# One row: the sequence up to which the feed was taken, without a gap.
feed_position = Table(
    "feed_position",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
)

# One leaf proves one answer: a counter that came once is refused the second time.
seen_use = Table(
    "seen_use",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("counter", Integer, primary_key=True, autoincrement=False),
)
