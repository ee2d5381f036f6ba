"""The tables of a data holder: links, releases, and the door's.

No column holds an attribute's value in clear, a resident's number or name: a link leads to the
register's own row key, a release names attributes, and a stored answer is sealed to its service.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, UniqueConstraint

from consent.door import tables as door

metadata = MetaData()

for _table in (door.known_grant, door.withdrawal):
    _table.to_metadata(metadata)

link = Table(
    "link",
    metadata,
    Column("handle", String, primary_key=True),
    Column("thumbprint", String, nullable=False, unique=True),
    Column("jwk", String, nullable=False),
    Column("mailbox", String, nullable=False),
    Column("row_key", String, nullable=False, index=True),
    Column("made_at", BigInteger, nullable=False),
)

# A further link to a row was made: whoever holds the other links is told (C8).
link_notice = Table(
    "link_notice",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("handle", String, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
)

# What of a grant's limits is used up here, counted as the ledger counts.
grant_use = Table(
    "grant_use",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("uses", Integer, nullable=False),
    Column("window_start", BigInteger, nullable=False),
    Column("window_uses", Integer, nullable=False),
)

release = Table(
    "release",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("use_id", String, nullable=False, unique=True),
    Column("use_request_hash", String, nullable=False, unique=True),
    Column("grant_id", String, nullable=False),
    Column("counter", Integer, nullable=False),
    Column("service", String, nullable=False),
    Column("row_key", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    # A JSON list of names; empty where the use counted and nothing was released.
    Column("attributes", String, nullable=False),
    Column("outcome", String, nullable=False),
    UniqueConstraint("grant_id", "counter"),
    Index("release_row", "row_key", "number"),
)

# The sealed answer, until the use request's end.
stored_answer = Table(
    "stored_answer",
    metadata,
    Column("use_request_hash", String, primary_key=True),
    Column("answer", String, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)

# As ``consent.ledger.proofs`` reads it.
spent_proof = Table(
    "spent_proof",
    metadata,
    Column("thumbprint", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)
