from pathlib import Path

import pytest

from tests.paper_city import PaperCity


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that all these tests share; they are only read."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
def city(pki: Path) -> PaperCity:
    return PaperCity(pki)
