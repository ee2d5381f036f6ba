"""Opening a database: whose address it is, and that what is acknowledged there stays."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ArgumentError

from consent.errors import OutOfService
from consent.ledger.address import asyncpg_arguments, parse_address, pg8000_arguments
from consent.ledger.schema import check_durable, for_reading, lock, open_engine
from tests.postgresql import running

PLAIN = "postgresql://user:secret@host:5433/name"


def test_sqlite_syncs_each_commit(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    check_durable(engine)
    with engine.begin() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]
    engine.dispose()


def test_postgresql_without_a_standby_says_so(postgresql_url: str, caplog: pytest.LogCaptureFixture) -> None:
    engine = open_engine(postgresql_url)
    with caplog.at_level(logging.WARNING):
        check_durable(engine)
    assert "no synchronous standby" in caplog.text
    engine.dispose()


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync", "full_page_writes"])
def test_a_server_that_may_forget_is_refused(setting: str, postgresql_url: str) -> None:
    assert postgresql_url, "there is a server at all"
    with running(**{setting: "off"}) as server:
        engine = open_engine(server.url())
        with pytest.raises(OutOfService, match=f"{setting} is off"):
            check_durable(engine)
        engine.dispose()


def test_readers_can_write_nothing_and_see_one_state(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    with for_reading(engine).begin() as reader:
        count = text("SELECT count(*) FROM party")
        before = reader.execute(count).scalar_one()
        with engine.begin() as writer:
            writer.execute(text("INSERT INTO party (party_id) VALUES ('new')"))
        assert reader.execute(count).scalar_one() == before
        assert reader.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"
    engine.dispose()


def test_a_name_is_locked_until_the_transaction_ends(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    with engine.begin() as first:
        lock(first, b"name")
        with engine.begin() as second:
            held = second.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one()
            assert held == 1
            lock(second, b"another name")
    with engine.begin() as third:
        assert third.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one() == 0
    engine.dispose()


def test_addresses_are_what_each_driver_wants() -> None:
    plain = parse_address(PLAIN)
    named = {"user": "user", "password": "secret", "host": "host", "port": 5433, "database": "name"}
    assert pg8000_arguments(plain) == asyncpg_arguments(plain) == named
    socket = parse_address("postgresql://user@/name?host=/run/postgresql")
    assert pg8000_arguments(socket)["unix_sock"] == "/run/postgresql/.s.PGSQL.5432"
    assert asyncpg_arguments(socket)["host"] == "/run/postgresql"
    assert pg8000_arguments(parse_address(f"{PLAIN}?sslmode=verify-full"))["ssl_context"].check_hostname
    assert asyncpg_arguments(parse_address(f"{PLAIN}?sslmode=verify-full"))["ssl"].check_hostname


@pytest.mark.parametrize(
    "address",
    [
        "mysql://host/name",
        "postgresql://host",
        f"{PLAIN}?sslmode=require",
        f"{PLAIN}?options=-cfsync%3Doff",
        "nonsense",
    ],
)
def test_other_addresses_are_refused_without_their_password(address: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_address(address)
    assert "secret" not in str(caught.value)
