from pathlib import Path

import pytest

from tests.holder_city import City, Wallet


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


@pytest.fixture
def anna(city: City) -> Wallet:
    return city.resident()
