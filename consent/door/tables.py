"""The two tables of a door. Each database that has one makes them in its own migrations."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, UniqueConstraint

metadata = MetaData()

known_grant = Table(
    "known_grant",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("thumbprint", String, nullable=False),
    # The hash of the one JWS that this id names here: another grant under the same id is refused.
    Column("grant_hash", String, nullable=False),
    Column("service", String, nullable=False),
    Column("attributes", String, nullable=False),
)

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("grant_id", String, nullable=False),
    Column("thumbprint", String, nullable=False),
    # A JSON list of names, or null for the whole grant.
    Column("attributes", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    # Null once the grant is known: it lasts as long as the grant may be used.
    Column("expires", BigInteger, nullable=True, index=True),
    UniqueConstraint("grant_id", "thumbprint", "attributes"),
)
