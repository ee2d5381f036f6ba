"""The verifier's HTTP: what a wallet's answer ends in, and that every fault ends in a refusal."""

from pathlib import Path

import pytest

from tests.unit.verifier.desk import Desk
from tests.unit.verifier.paper_city import PaperCity

MODES = ["direct_post", "direct_post.jwt"]


@pytest.fixture
def desk(city: PaperCity, tmp_path: Path) -> Desk:
    return Desk(city, tmp_path / "verifier")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("prefix", ["x509_hash", "x509_san_dns", "redirect_uri", "decentralized_identifier"])
def test_every_client_and_mode_ends_in_verified(desk: Desk, city: PaperCity, prefix: str, mode: str) -> None:
    link, request_id = desk.ask(client_id_prefix=prefix, response_mode=mode)
    assert desk.state(request_id) == {"state": "pending"}
    request = desk.read(link, dids=True)
    assert request.client_id.startswith(f"{prefix}:")
    answer = desk.present(request, [city.residency()])
    assert answer.status_code == 200, answer.text
    assert answer.json() == {}
    assert desk.state(request_id) == {"state": "verified", "claims": {"residency": [{"district": "Gràcia-2c81"}]}}
