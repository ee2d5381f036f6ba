"""The tables of an issuer.

Times are seconds since 1970. Numbers are never used again (AUTOINCREMENT): a credential's row must not
pass to another resident's issuance. ``…_hash`` is the hash of a secret that only a wallet holds (or, for
``person_hash``, a keyed hash whose key lies in another process); ``sealed`` is what belongs to the
secret, sealed under it (`identity.issuer.sealing`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

pre_authorized = Table(
    "pre_authorized",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("tx_code_hash", LargeBinary, nullable=True),
    Column("attempts", Integer, nullable=False, default=0),
    Column("configurations", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("issuance", Integer, nullable=True),
)
"""A code of an offer; ``issuance`` is set by its one redemption."""

issuer_state = Table(
    "issuer_state",
    metadata,
    Column("state_hash", LargeBinary, primary_key=True),
    Column("configurations", String, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)
"""An offer that goes on with an authorization request."""

offer_document = Table(
    "offer_document",
    metadata,
    Column("reference_hash", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)
"""An offer served by reference; it holds a code, hence sealed."""

pushed_request = Table(
    "pushed_request",
    metadata,
    Column("request_hash", LargeBinary, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("redirect_uri", String, nullable=False),
    Column("state", String, nullable=True),
    Column("code_challenge", String, nullable=False),
    Column("jkt", String, nullable=True),
    Column("configurations", String, nullable=False),
    Column("by_details", Boolean, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("done", Boolean, nullable=False, default=False),
)
"""An authorization request until its end; ``done`` = a card has answered it."""

card_session = Table(
    "card_session",
    metadata,
    Column("session", LargeBinary, primary_key=True),
    Column("cookie_hash", LargeBinary, nullable=False),
    Column(
        "request_hash",
        LargeBinary,
        ForeignKey("pushed_request.request_hash", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("challenges", Integer, nullable=False, default=0),
)
"""One browser's or wallet's view of an authorization request; lives as long as the request."""

challenge = Table(
    "challenge",
    metadata,
    Column("session", LargeBinary, ForeignKey("card_session.session", ondelete="CASCADE"), primary_key=True),
    Column("random", String, nullable=False),
    Column("binding", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

issuance = Table(
    "issuance",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("client_id", String, nullable=True),
    Column("jkt", String, nullable=True),
    Column("configurations", String, nullable=False),
    Column("by_details", Boolean, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("revoked", Boolean, nullable=False, default=False),
    sqlite_autoincrement=True,
)
"""What a resident agreed to once; every token of it descends from one code."""

authorization_code = Table(
    "authorization_code",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("redirect_uri", String, nullable=False),
    Column("code_challenge", String, nullable=False),
    Column("jkt", String, nullable=True),
    Column("configurations", String, nullable=False),
    Column("by_details", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("spent", Boolean, nullable=False, default=False),
    Column("issuance", Integer, nullable=True),
)

access_token = Table(
    "access_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("issuance", Integer, ForeignKey("issuance.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("configurations", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("refresh_hash", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)
"""``refresh_hash`` is the refresh token given together with it."""

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("issuance", Integer, ForeignKey("issuance.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""``state``: `identity.issuer.store.tokens.RefreshState`. A retired one stays, so that its reuse is noticed."""

spent = Table(
    "spent",
    metadata,
    Column("purpose", Integer, primary_key=True),
    Column("value_hash", LargeBinary, primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""Nonces and proof identifiers that were used once."""

credential = Table(
    "credential",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("issuance", Integer, nullable=False),
    Column("configuration", String, nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("person_hash", LargeBinary, nullable=False, index=True),
    Column("reason", String, nullable=True),
    Column("revoked_at", BigInteger, nullable=True),
    Column("flipped", Boolean, nullable=False, default=False),
    Index("credential_of_issuance", "issuance", "configuration", "dataset", unique=True),
    sqlite_autoincrement=True,
)
"""What a resident sees as one credential: all copies, refills too, of one dataset of one issuance."""

status_list = Table(
    "status_list",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("order_key", LargeBinary, nullable=False),
    Column("given_out", Integer, nullable=False, default=0),
    Column("changes", Integer, nullable=False, default=0),
    Column("signed_changes", Integer, nullable=False, default=-1),
    Column("signed_expires", BigInteger, nullable=False, default=0),
    Column("token", String, nullable=True),
)
"""``token`` is the list as served; it says what ``signed_changes`` of ``changes`` were."""

copy = Table(
    "copy",
    metadata,
    Column("list", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("credential", Integer, ForeignKey("credential.number"), nullable=False, index=True),
    Column("expires", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""Which credential a place in a status list belongs to, while the copy lives."""

revoked_place = Table(
    "revoked_place",
    metadata,
    Column("list", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    sqlite_with_rowid=False,
)
"""Bits that are 1, for ever: a revocation is never taken back, and a place never used again."""

deferred = Table(
    "deferred",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("transaction_hash", LargeBinary, nullable=False, unique=True),
    Column("issuance", Integer, ForeignKey("issuance.number", ondelete="CASCADE"), nullable=False),
    Column("configuration", String, nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("keys", String, nullable=False),
    Column("person_hash", LargeBinary, nullable=False, index=True),
    Column("state", Integer, nullable=False),
    Column("requested", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)
"""A request that waits for the operator's decision; the subject is not in it, the access token brings it again."""

notification = Table(
    "notification",
    metadata,
    Column("notification_hash", LargeBinary, primary_key=True),
    Column("issuance", Integer, ForeignKey("issuance.number", ondelete="CASCADE"), nullable=False),
    Column("credential", Integer, nullable=False),
    Column("event", String, nullable=True),
    Column("expires", BigInteger, nullable=False, index=True),
)

upkeep = Table(
    "upkeep",
    metadata,
    Column("task", String, primary_key=True),
    Column("done_at", BigInteger, nullable=False),
)
"""When a task that is due once a day was last done."""
