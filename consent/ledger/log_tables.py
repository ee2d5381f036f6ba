"""The tables of the log beside its events: its periods, its group codes, who closed something lately."""

from sqlalchemy import BigInteger, Column, Integer
from sqlmodel import Field

from consent.ledger.tables import Table


class AccountClosing(Table, table=True):
    """When a closing of this account was last logged at once: further ones within the hour are spread."""

    __tablename__ = "account_closing"
    account: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    last: int = Field(sa_type=BigInteger)
    """Milliseconds since 1970."""


class LogPeriod(Table, table=True):
    """One log (WIRE C6): the index of a leaf in it is its place in the ledger minus ``first``."""

    __tablename__ = "log_period"
    name: str = Field(primary_key=True)
    first: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))
    closed: int | None = Field(default=None, sa_type=BigInteger)
    """NumericDate."""
    deleted: int | None = Field(default=None, sa_type=BigInteger)
    """When its entry bundles were deleted (NumericDate)."""


class LeafGroup(Table, table=True):
    """A group code as it was last declared: numbers of services and of purposes, JSON lists."""

    __tablename__ = "leaf_group"
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    services: str
    purposes: str


class PairDay(Table, table=True):
    """How many grants of a service and purpose were logged on a day since 1970: few of them hide in their group."""

    __tablename__ = "pair_day"
    service: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    purpose: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    day: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    grants: int
