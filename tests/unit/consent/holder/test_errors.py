"""The data holder's errors have one form (WIRE B), also where no route was reached, and quote nothing."""

import pytest
from starlette.testclient import TestClient

from tests.holder_city import ANNA, HOLDER_URL, City


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("PUT", "/data", 405, "method_not_allowed"),
        ("POST", "/journal", 405, "method_not_allowed"),
        ("GET", "/withdrawals", 405, "method_not_allowed"),
    ],
)
def test_where_no_route_is(city: City, method: str, path: str, status: int, error: str) -> None:
    answer = city.call(method, path)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_a_fault_of_ours(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise RuntimeError(ANNA)

    monkeypatch.setattr(city.services.enforcement, "use", broken)
    with TestClient(city.hosts[HOLDER_URL], raise_server_exceptions=False) as http:
        answer = http.post(f"{HOLDER_URL}/data", content="x", headers={"Content-Type": "application/jwt"})
    assert (answer.status_code, answer.json()) == (500, {"error": "server_error"})
