"""The tables of a data holder: links, releases, what logged leaves they rest on, and the doors'.

No column holds an attribute's value in clear, a resident's number or name: a link leads to the
register's own row key, a release names attributes, a stored answer is sealed to its service, and of
a value that must not change there is a keyed hash.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, UniqueConstraint

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

# What a link's wallet is told: a further link to its row was made (C8), a value has changed (ADR 0009, D16).
link_notice = Table(
    "link_notice",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("handle", String, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", String, nullable=False, server_default="link"),
    Column("grant_id", String, nullable=True),
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
    # From when on the resident sees it; null while its notice waits in the spool.
    Column("shown_at", BigInteger, nullable=True),
    UniqueConstraint("grant_id", "counter"),
    Index("release_row", "row_key", "number"),
)

# The leaf of each proven allow, whatever became of it: what the day's root is made of (D9).
leaf_record = Table(
    "leaf_record",
    metadata,
    Column("log", String, primary_key=True),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False, index=True),
    Column("kind", Integer, nullable=False),
    Column("leaf_id", String, nullable=False),
    Column("counter", Integer, nullable=False),
)

# The statement about a day that the consent service took last.
stated_day = Table(
    "stated_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("root", String, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# The newest acts of a grant key that came to this door (D17): whether it paused, and what it left.
told_act = Table(
    "told_act",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("thumbprint", String, primary_key=True),
    Column("pausing_act", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("amend_act", Integer, nullable=False),
    # The authorization detail (JSON) of the newest amendment.
    Column("detail", String, nullable=True),
    # Null once the grant is known, as with withdrawals.
    Column("expires", BigInteger, nullable=True, index=True),
)

# A keyed hash of the value that was released first, in the resolution it was released in (D15).
first_value = Table(
    "first_value",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("resolution", String, primary_key=True),
    Column("hash", String, nullable=False),
    # ``freeze`` or ``ask``: what the grant said.
    Column("reaction", String, nullable=False),
    Column("changed", Boolean, nullable=False),
)

# Notices of urgent accesses that the consent service has not had yet (D3), in the order of their sequence.
spooled_notice = Table(
    "spooled_notice",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("basis_request_hash", String, nullable=False, unique=True),
    Column("basis_request", String, nullable=False),
    Column("mailboxes", String, nullable=False),
    Column("spooled", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    # ``waiting``, ``delivered`` or ``refused``.
    Column("state", String, nullable=False, index=True),
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
