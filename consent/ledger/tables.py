"""The tables of the consent service (DESIGN §10, WIRE C11).

Integer keys, interned parties and purposes, 16-byte ids. The *hot row* of a grant is what a use
or a withdrawal touches and nothing else; what is read once a use and never changed (the signed
grant, its locator) is a cold row. No column holds a resident's name, number or attribute value:
an account is a keyed hash of a pairwise identifier beside two public keys.

SQLModel declares the tables; the hot statements in ``store`` do not go through its sessions.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Table(SQLModel, registry=registry()):
    """Root of these tables: a registry of their own, so that no other room's tables mix in."""


class Party(Table, table=True):
    """A registry party under the number its leaves carry; numbers start at 1 (C6)."""

    __tablename__ = "party"
    number: int | None = Field(default=None, primary_key=True)
    party_id: str = Field(unique=True)


class Purpose(Table, table=True):
    """A DPV purpose under the number its leaves carry; numbers start at 1 (C6)."""

    __tablename__ = "purpose"
    number: int | None = Field(default=None, primary_key=True)
    iri: str = Field(unique=True)


class Declaration(Table, table=True):
    """A signed purpose or data declaration (C13). Public."""

    __tablename__ = "declaration"
    __table_args__ = (UniqueConstraint("declaration_id", "version"),)
    number: int | None = Field(default=None, primary_key=True)
    declaration_id: str
    version: int
    typ: str
    party: int
    jws: str


class Account(Table, table=True):
    """A resident's account: who holds ``thumbprint`` acts for it."""

    __tablename__ = "account"
    # A number is given once, also after its account was erased.
    __table_args__ = {"sqlite_autoincrement": True}
    number: int | None = Field(default=None, primary_key=True)
    claim_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    thumbprint: str = Field(unique=True)
    account_jwk: str
    view_jwk: str
    full_after: int = Field(default=0, sa_type=BigInteger)
    """After a recovery, grant, resume and erase wait until this instant (DESIGN §7)."""


class Mailbox(Table, table=True):
    __tablename__ = "mailbox"
    mailbox: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(index=True)


class Request(Table, table=True):
    """A consent request (C2) until its end or its first decision."""

    __tablename__ = "request"
    request_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    service: int
    jws: str
    expires: int = Field(sa_type=BigInteger)
    mailbox: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True, index=True))
    state: int = 0
    grant_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


class GrantRow(Table, table=True):
    """The hot row (C11).

    ``mask`` is the 64-bit attribute set as a signed integer; ``window_start`` counts seconds
    since 2020 (it fits 32 bits until 2088); 0 in ``max_uses`` and ``window_max`` = no limit.
    """

    __tablename__ = "grant_row"
    # The id is the key of the row itself: one B-tree, no second lookup.
    __table_args__ = (Index("grant_row_account", "account"), {"sqlite_with_rowid": False})
    grant_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(sa_column=Column(BigInteger, nullable=False))
    service: int
    holder: int
    purpose: int
    state: int
    mask: int = Field(sa_column=Column(BigInteger, nullable=False))
    not_before: int = Field(sa_column=Column(BigInteger, nullable=False))
    not_after: int = Field(sa_column=Column(BigInteger, nullable=False))
    counter: int
    act: int
    uses: int
    max_uses: int
    window_start: int
    window_uses: int
    window_max: int
    window_seconds: int
    status_index: int


class GrantBody(Table, table=True):
    """The cold row: what the wallet signed, and the public half of the opening pair (C15)."""

    __tablename__ = "grant_body"
    grant_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    signed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The grant (``consent.ledger.packing``), and the detail in force as it was given."""
    locator: str
    thumbprint: str
    opening_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    details: str
    """The authorization detail in force (JSON) after an amendment; "" = as it was given."""
    last_act: str | None = None
    """Hash of the last act: the same JWS again gets its first answer."""
    last_act_counter: int | None = None
    last_act_state: int | None = None
    last_deny: int | None = Field(default=None, sa_type=BigInteger)
    """When a deny leaf was last written: at most one per grant and hour (DESIGN §8)."""
    denies: int = 0
    """Refusals since then; the next deny leaf counts them."""
    leaf_codes: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """``consent.ledger.codes`` of its kind-3 leaf, which later leaves repeat; NULL = the row's own numbers."""


class Ending(Table, table=True):
    """When, and at which counter, a grant or some of its attributes ended.

    ``mask`` is 0 for the whole grant. A repeated withdrawal is answered from here.
    """

    __tablename__ = "ending"
    grant_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    counter: int = Field(primary_key=True)
    mask: int = Field(sa_type=BigInteger)
    effective_at: int = Field(sa_type=BigInteger)
    """Milliseconds since 1970."""


# SQLite gives numbers by itself only to what it calls an INTEGER; that has 64 bits.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
_UNPLACED = text("leaf_index IS NULL")


class Event(Table, table=True):
    """A leaf, waiting for its place in the log or holding it.

    ``leaf`` has minute 0 until it is sequenced. ``sealed`` is event and salt for whoever holds
    the opening key; they are kept in no other form. ``opened`` is for declarations, which are
    public anyway.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("event_grant", "grant_id", "counter"),
        Index("event_unplaced", "due", "sequence", sqlite_where=_UNPLACED, postgresql_where=_UNPLACED),
    )
    sequence: int | None = Field(default=None, sa_column=Column(_NUMBER, primary_key=True))
    kind: int
    grant_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    counter: int
    leaf: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leaf_index: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True, unique=True))
    sealed: str | None = None
    opened: str | None = None
    receipt_id: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True, unique=True))
    due: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Milliseconds since 1970 before which it gets no place; 0 = at once, -1 = a closing that may be spread."""
    promised: int | None = Field(default=None, sa_type=BigInteger)
    """By when (NumericDate) the log promised it, where it waits."""


class UseRequestSeen(Table, table=True):
    """(service, jti) of a use request, single use (C4)."""

    __tablename__ = "use_request_seen"
    __table_args__ = {"sqlite_with_rowid": False}
    service: int = Field(primary_key=True)
    jti: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    request_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires: int = Field(sa_type=BigInteger, index=True)


class SpentProof(Table, table=True):
    """(key, jti) of a caller proof, kept 120 s, across workers (C1)."""

    __tablename__ = "spent_proof"
    __table_args__ = {"sqlite_with_rowid": False}
    thumbprint: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    expires: int = Field(sa_type=BigInteger, index=True)


class EnrolmentNonce(Table, table=True):
    """A nonce of C10 for one account key, single use, 10 min."""

    __tablename__ = "enrolment_nonce"
    nonce: str = Field(primary_key=True)
    thumbprint: str = Field(index=True, unique=True)
    expires: int = Field(sa_type=BigInteger, index=True)


class NotedWithdrawal(Table, table=True):
    """A withdrawal of a grant not known here, or by a key that is not its key (C5)."""

    __tablename__ = "noted_withdrawal"
    __table_args__ = (UniqueConstraint("grant_id", "thumbprint", "attributes"),)
    number: int | None = Field(default=None, primary_key=True)
    grant_id: bytes = Field(sa_column=Column(LargeBinary, nullable=False, index=True))
    thumbprint: str
    attributes: str
    """JSON list, or ``null`` for all."""
    expires: int = Field(sa_type=BigInteger, index=True)


class Accreditation(Table, table=True):
    """That a service holds an accreditor's credential (ADR 0009, D13); the presentation is not kept."""

    __tablename__ = "accreditation"
    __table_args__ = {"sqlite_with_rowid": False}
    service: str = Field(primary_key=True)
    """Registry id; so is ``accreditor``."""
    vct: str = Field(primary_key=True)
    accreditor: str = Field(primary_key=True)
    issuer: str
    until: int = Field(sa_type=BigInteger)
    status_uri: str
    status_index: int = Field(sa_type=BigInteger)


class Mandate(Table, table=True):
    """Who may act for an account by a credential (ADR 0009, D14): the key that proves it, and for what."""

    __tablename__ = "mandate"
    mandate_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    thumbprint: str = Field(unique=True)
    jwk: str
    role: str
    verbs: str
    """JSON list; so is ``purposes``."""
    purposes: str
    until: int = Field(sa_type=BigInteger)
    issuer: str
    status_uri: str
    status_index: int = Field(sa_type=BigInteger)


class EndedMandate(Table, table=True):
    """What the represented person ended, until it would have ended anyway: its credential gives no key again."""

    __tablename__ = "ended_mandate"
    account: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    """Of what the credential says; copies of one credential say the same."""
    until: int = Field(sa_type=BigInteger)
