"""The tables of a verifier. Secrets stand in them as hashes, results sealed: see ``verifier.sealing``."""

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table

metadata = MetaData()

request = Table(
    "request",
    metadata,
    Column("handle_hash", LargeBinary, primary_key=True),
    Column("reader_hash", LargeBinary, nullable=False, index=True),
    Column("reader_key", LargeBinary, nullable=False),
    Column("procedure", String, nullable=False),
    Column("flow", String, nullable=False),
    Column("state", String, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    # What the request object says; nothing of it is about a resident.
    Column("client_id_prefix", String, nullable=False),
    Column("response_mode", String, nullable=False),
    Column("nonce", String, nullable=False),
    Column("wire_state", String, nullable=False),
    Column("query", String, nullable=False),
    Column("stand_in", String, nullable=True),
    Column("return_uri", String, nullable=True),
    Column("kid", String, nullable=True),
    Column("decryption_key", LargeBinary, nullable=True),
    Column("encryption_jwk", String, nullable=True),
    # The outcome.
    Column("code_hash", LargeBinary, nullable=True, unique=True),
    Column("result", String, nullable=True),
    Column("error", String, nullable=True),
    Column("error_description", String, nullable=True),
)

browser = Table(
    "browser",
    metadata,
    Column("secret_hash", LargeBinary, primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)
