"""A city of its own for each test, over a database that was migrated once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.openid4vci.redirect import RedirectPolicy
from tests import issuer_city
from tests.issuer_city import City


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return issuer_city.empty_database(tmp_path_factory.mktemp("issuer") / "empty.sqlite")


@pytest.fixture
def deferred() -> frozenset[str]:
    """Configurations that wait for the operator."""
    return frozenset()


@pytest.fixture
def policy() -> RedirectPolicy:
    return RedirectPolicy.HTTPS_OR_LOOPBACK


@pytest.fixture
def city(tmp_path: Path, deferred: frozenset[str], policy: RedirectPolicy, empty_database: bytes) -> Iterator[City]:
    with issuer_city.open_city(tmp_path, empty_database=empty_database, deferred=deferred, policy=policy) as made:
        yield made
