"""One card authority for the tests of this folder: making it costs more than a test."""

import pytest

from tests.unit.identity.card.mint import Mint


@pytest.fixture(scope="session")
def mint() -> Mint:
    return Mint()
