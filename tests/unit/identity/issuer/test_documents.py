"""What anybody may read, and the application around it."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from identity.issuer.app import make_app
from identity.openid4vci.spec import GRANT_TYPES
from identity.trust import spec as trust
from tests.issuer_city import BASE, ISSUER, City


def test_issuer_metadata(city: City) -> None:
    answer = city.client.get("/.well-known/openid-credential-issuer/bcn")
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["credential_issuer"] == ISSUER and "authorization_servers" not in found
    assert found["batch_credential_issuance"] == {"batch_size": 10}
    assert {entry["locale"] for entry in found["display"]} == {"es", "ca", "en"}
    for name in ("credential_endpoint", "nonce_endpoint", "deferred_credential_endpoint", "notification_endpoint"):
        assert found[name].startswith(f"{ISSUER}/")
        assert city.client.post(found[name]).status_code != 404
    for name, entry in found["credential_configurations_supported"].items():
        assert entry["scope"] == name and entry["format"] == "dc+sd-jwt"
        assert entry["cryptographic_binding_methods_supported"] == ["jwk"]
        assert entry["proof_types_supported"] == {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}}
        assert entry["credential_metadata"]["display"] and entry["credential_metadata"]["claims"]


def test_server_metadata(city: City) -> None:
    found = city.client.get("/.well-known/oauth-authorization-server/bcn").json()
    assert found["issuer"] == ISSUER and found["grant_types_supported"] == list(GRANT_TYPES)
    assert found["dpop_signing_alg_values_supported"] == ["ES256"]
    assert found["pre-authorized_grant_anonymous_access_supported"] is True
    assert found["token_endpoint_auth_methods_supported"] == ["none"]
    assert set(found["scopes_supported"]) == {"person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt"}
    for name in ("token_endpoint", "pushed_authorization_request_endpoint"):
        assert city.client.post(found[name]).status_code == 415


def test_keys(city: City) -> None:
    found = city.client.get("/.well-known/jwt-vc-issuer/bcn").json()
    assert found["issuer"] == ISSUER
    (key,) = found["jwks"]["keys"]
    assert key["kid"] == city.credential_key.public_key.thumbprint
    assert city.issued("person-id-sd-jwt")[0].header["kid"] == key["kid"]
    assert "d" not in key


def test_files_of_the_sandbox(city: City, tmp_path: Path) -> None:
    registry, roots = tmp_path / "list.jwt", tmp_path / "trust.pem"
    app = make_app({"bcn": city.hall}, registry_file=registry, trust_file=roots)
    with TestClient(app, base_url=BASE) as client:
        assert client.get("/registry").status_code == 503
        registry.write_text("a.b.c")
        roots.write_text("PEM")
        answer = client.get("/registry")
        assert answer.text == "a.b.c" and answer.headers["content-type"] == trust.MEDIA_TYPE
        registry.write_text("d.e.f")
        assert client.get("/registry").text == "d.e.f", "the newest"
        assert client.get("/trust.pem").text == "PEM"
    assert city.client.get("/registry").status_code == 404, "only where it was asked for"


def test_upkeep_runs_with_the_service(city: City) -> None:
    with TestClient(make_app({"bcn": city.hall}), base_url=BASE) as client:
        client.get("/bcn/status/1")
    assert not city.hall.upkeep.tasks.claim("tick", now=int(city.now[0]), since=int(city.now[0]) - 60)


def test_every_answer_has_its_headers(city: City) -> None:
    for answer in (city.client.get("/nothing"), city.client.post("/bcn/nonce"), city.client.get("/bcn/status/")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_nonces_are_not_kept(city: City) -> None:
    first, second = (city.client.post("/bcn/nonce") for _ in range(2))
    assert first.headers["cache-control"] == "no-store"
    assert first.json()["c_nonce"] != second.json()["c_nonce"]


def test_no_page_loads_scripts_from_elsewhere(city: City) -> None:
    assert city.client.get("/docs").status_code == 404 and city.client.get("/redoc").status_code == 404
    paths = city.client.get("/openapi.json").json()["paths"]
    assert "/{tenant}/credential" in paths and not any("admin" in path for path in paths)


def test_database_that_fails_is_503_and_quotes_nothing(city: City, caplog: pytest.LogCaptureFixture) -> None:
    token = city.token("person-id-sd-jwt")
    with city.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE access_token")
    answer = city.batch(token, "person-id-sd-jwt")
    assert answer.status_code == 503 and answer.json()["error"] == "temporarily_unavailable"
    assert "OperationalError" in caplog.text and "SELECT" not in caplog.text


def test_names_of_the_service_itself(city: City) -> None:
    with pytest.raises(ValueError, match="registry"):
        make_app({"registry": city.hall})
