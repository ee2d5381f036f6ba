"""The tables of what is owed beside grants: notices, oppositions, freezes, the feed, deletions, recoveries."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from consent.ledger.tables import Table


class Notice(Table, table=True):
    """An access that rests on law (D1): single use of (service, jti), and what the statistics count."""

    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("service", "jti"),)
    notice_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    service: str
    holder: str
    jti: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: int = Field(sa_type=BigInteger)
    late_seconds: int | None = None
    """How long after the release it was delivered, where it came from a spool (D3)."""


class NoticeItem(Table, table=True):
    """A leaf that belongs to no grant, sealed to the view key of one account (D5)."""

    __tablename__ = "notice_item"
    leaf_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(sa_column=Column(BigInteger, primary_key=True, index=True, autoincrement=False))
    sealed: str
    visible_from: int | None = Field(default=None, sa_type=BigInteger)


class Opposition(Table, table=True):
    __tablename__ = "opposition"
    opposition_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    service: str
    purpose: str | None = None
    holder: str | None = None
    since: int = Field(sa_type=BigInteger)


class Frozen(Table, table=True):
    """A grant that a freeze paused (D6), and the counter that this gave it: another one = somebody acted since."""

    __tablename__ = "frozen"
    grant_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    counter: int
    until: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True, index=True))


class FormerOpening(Table, table=True):
    """An opening pair that a recovery replaced: erasure has to find its file."""

    __tablename__ = "former_opening"
    grant_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    opening_key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))


class FeedItem(Table, table=True):
    """What a service is told of a grant (D7), written in the transaction of the act.

    ``sequence`` counts each service's items; it is given afterwards, in the order in which acts
    became visible, so that a reader who has seen n misses nothing below.
    """

    __tablename__ = "feed_item"
    __table_args__ = (
        Index("feed_item_sequence", "service", "sequence", unique=True),
        Index(
            "feed_item_waiting",
            "number",
            sqlite_where=text("sequence IS NULL"),
            postgresql_where=text("sequence IS NULL"),
        ),
    )
    number: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    service: int
    grant_id: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: int
    counter: int
    status_index: int
    at: int = Field(sa_type=BigInteger)
    """Milliseconds since 1970."""
    sequence: int | None = Field(default=None, sa_type=BigInteger)


class FeedTarget(Table, table=True):
    """Up to which item a service has taken its feed."""

    __tablename__ = "feed_target"
    service: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    delivered: int = Field(sa_type=BigInteger)


class StatusListPlace(Table, table=True):
    """Which places of a status list are given out: ``next`` counts them, ``secret`` shuffles them."""

    __tablename__ = "status_list"
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    next: int
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    token: str | None = None
    """As it is served; NULL until its first grant."""
    signed_at: int = Field(default=0, sa_type=BigInteger)


class Deletion(Table, table=True):
    """By when a service has to delete what it read under a grant (D8)."""

    __tablename__ = "deletion"
    __table_args__ = (Index("deletion_due", "state", "due"),)
    grant_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    service: int
    account: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    last_use: int = Field(sa_type=BigInteger)
    due: int = Field(sa_type=BigInteger)
    state: int = 0
    receipt: str | None = None


class JournalRoot(Table, table=True):
    """A data holder's signed count and root of a day (D9); a corrected one is a further row."""

    __tablename__ = "journal_root"
    number: int | None = Field(default=None, primary_key=True)
    jws_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    jws: str


class AccountKey(Table, table=True):
    """A key that an account has or had. Each waits for itself: another recovery sets nobody back."""

    __tablename__ = "account_key"
    thumbprint: str = Field(primary_key=True)
    account: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    account_jwk: str
    view_jwk: str
    full_after: int = Field(sa_type=BigInteger)
    refused: bool = False
    """Its recovery was cancelled: it never opens this account again."""


class Recovery(Table, table=True):
    """A key took the account over; ``state``: 0 waiting or done, 1 cancelled."""

    __tablename__ = "recovery"
    recovery_id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    thumbprint: str
    since: int = Field(sa_type=BigInteger)
    full_after: int = Field(sa_type=BigInteger)
    state: int = 0


class OpeningOrder(Table, table=True):
    """An order of two officers (D11), single use; the same pair of statements again gets the same answer."""

    __tablename__ = "opening_order"
    jti: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    grant_id: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    order_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leaf_id: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DutyCursor(Table, table=True):
    """How far a bookkeeping job has come."""

    __tablename__ = "duty_cursor"
    name: str = Field(primary_key=True)
    place: int = Field(sa_type=BigInteger)
