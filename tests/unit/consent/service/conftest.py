from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consent_city import ConsentCity, Wallet


@pytest.fixture
def city(tmp_path: Path) -> Iterator[ConsentCity]:
    """A running service in which nothing was declared."""
    city = ConsentCity(tmp_path)
    yield city
    city.close()


@pytest.fixture
def declared(city: ConsentCity) -> ConsentCity:
    city.declare_all()
    return city


@pytest.fixture
def wallet(declared: ConsentCity) -> Wallet:
    return Wallet(declared).enrolled()
