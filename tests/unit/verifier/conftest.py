from pathlib import Path

import pytest

from tests.unit.verifier.paper_city import PaperCity


@pytest.fixture
def city(tmp_path: Path) -> PaperCity:
    return PaperCity(tmp_path / "pki")
