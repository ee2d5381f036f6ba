"""The OpenAPI documents say what is served, and nothing that they describe or forbid ends in a fault.

schemathesis makes the calls from the documents: right ones, wrong ones and odd ones. Each goes out
once as it is and once with a caller's right proof over it, since without one nothing gets far.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from sqlalchemy import text

from consent import spec
from consent.holder.openapi import openapi as holder_document
from consent.service import schemas
from consent.service.address import KEY, NEWCOMER, PARTY
from consent.service.log_files import log_routes
from consent.service.routes import addresses
from identity.codec import base64url, strict_json
from identity.keys.signer import SoftwareSigner
from tests.consent_city import HOLDER, SERVICE, ConsentCity, Wallet
from tests.holder_city import City

EXAMPLES = 12
"""Of each operation, each way: all of them within a minute."""

ALLOWED = {200, 201, 202, 400, 401, 403, 404, 405, 409, 413, 415, 429}

WITHOUT_ISSUERS = ("/accreditations", "/me/mandates")
"""This city trusts no issuer: what a credential would have to prove is out of service."""


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    city = ConsentCity(tmp_path_factory.mktemp("city"))
    city.declare_all()
    wallet = Wallet(city).enrolled()
    wallet.give()
    yield wallet
    city.close()


def document(wallet: Wallet) -> dict[str, Any]:
    found: dict[str, Any] = wallet.city.get("/openapi.json").json()
    return found


def operations(value: dict[str, Any]) -> Iterator[Any]:
    for result in schemathesis.openapi.from_dict(value).get_all_operations():
        assert isinstance(result, Ok), result
        yield result.ok()


def bytes_of(case: Any) -> bytes:
    """The body as a client would write it: JSON where it is structured, else what it is."""
    body = case.body
    if body is None or type(body).__name__ == "NotSet":
        return b""
    if isinstance(body, bytes):
        return body
    if case.media_type == spec.MEDIA_FORM and isinstance(body, dict):
        return urlencode({str(name): str(value) for name, value in body.items()}).encode()
    if case.media_type == spec.MEDIA_JWT:
        return str(body).encode("utf-8", errors="replace")
    return strict_json.compact(body)


def path_of(case: Any) -> str:
    path: str = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe="") or "-")
    return path


def query_of(case: Any) -> str:
    query = {name: str(value) for name, value in (case.query or {}).items()}
    return f"?{urlencode(query)}" if query else ""


def printable(value: object) -> str:
    return "".join(one for one in str(value) if " " <= one <= "~")


def test_every_address_is_described(wallet: Wallet) -> None:
    """Path by path, with a schema for what goes in and for what comes out."""
    served = addresses(wallet.city.office)
    paths = document(wallet)["paths"]
    files = {route.path.replace(":path}", "}") for route in log_routes(wallet.city.office.logbook.periods)}
    assert paths.keys() == {one.path for one in served} | files
    named = {(one.method, one.path) for one in served}
    assert schemas.ANSWERS.keys() == named
    assert schemas.REQUESTS.keys() == {
        (one.method, one.path) for one in served if one.takes not in (None, spec.MEDIA_JWT)
    }
    assert schemas.QUERIES.keys() <= named
    for schema in (*schemas.ANSWERS.values(), *schemas.REQUESTS.values()):
        jsonschema_rs.validator_for(schema)


def probe(operation: Any, send: Callable[[Any], None]) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def calls(case: Any) -> None:
        send(case)

    calls()


def test_no_described_call_ends_in_a_fault(wallet: Wallet) -> None:
    city = wallet.city
    proofs = {(one.method, one.path): one.proof for one in addresses(city.office)}
    signers = {KEY: wallet.key, NEWCOMER: SoftwareSigner.generate(), PARTY: city.signer(SERVICE)}

    def send(case: Any) -> None:
        method, path, body = case.method.upper(), path_of(case), bytes_of(case)
        proof = proofs.get((method, case.path), "")
        signer = city.signer(HOLDER) if case.path in ("/uses", "/notices") else signers.get(proof)
        headers = {"content_type": printable(case.media_type)} if case.media_type else {}
        plain = printable((case.headers or {}).get(spec.REQUEST_PROOF_HEADER, ""))
        check(city.send(method, path + query_of(case), body, request_proof=plain, **headers), case)
        if signer is not None:
            proven = city.proof(signer, method, path, body, with_jwk=proof == NEWCOMER)
            check(city.send(method, path + query_of(case), body, request_proof=proven, **headers), case)

    for operation in operations(document(wallet)):
        probe(operation, send)


def check(answer: httpx.Response, case: Any) -> None:
    if case.path in WITHOUT_ISSUERS and answer.status_code == 503:
        return
    assert answer.status_code in ALLOWED, (case.method, case.path, answer.status_code, answer.text[:200])
    if answer.status_code >= 400 and answer.headers["content-type"] == spec.MEDIA_JSON:
        assert answer.json().keys() <= {"error", "error_description", "act"}


def test_answers_are_as_described(wallet: Wallet) -> None:
    city, held = wallet.city, wallet.give()
    city.use(city.use_request(held.id))
    mailbox = base64url.encode(b"m" * 16)
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/me/mailboxes", {"mailbox": mailbox}),
        ("GET", "/me/requests", None),
        ("GET", "/me/grants", None),
        ("GET", f"/me/grants/{held.id}", None),
        ("GET", "/me/timeline", None),
        ("GET", "/me/deletions", None),
        ("POST", "/me/oppositions", {"service": SERVICE, "purpose": None, "holder": None}),
        ("GET", "/me/oppositions", None),
        ("GET", "/me/export", None),
        ("GET", "/me/recoveries", None),
        ("POST", "/me/freeze", {"until": None}),
        ("POST", f"/me/grants/{held.id}/withdrawal", {"attributes": None}),
        ("POST", "/me/erasure", {"grant_id": held.id}),
        ("DELETE", "/me/mailboxes", {"mailbox": mailbox}),
    ]
    for method, path, body in asked:
        answer = wallet.call(method, path, body)
        assert answer.is_success, (path, answer.text)
        fits(method, path.replace(held.id, "{grant_id}"), answer.json())
    for path in ("/declarations", "/services", "/statistics", "/journal-roots"):
        fits("GET", path, city.get(path).json())
    other = wallet.give()
    own = city.proven(city.signer(SERVICE), "GET", f"/grants/{other.id}")
    fits("GET", "/grants/{grant_id}", own.json())
    fits("DELETE", "/grants/{grant_id}", city.proven(city.signer(SERVICE), "DELETE", f"/grants/{other.id}").json())


def fits(method: str, path: str, value: Any) -> None:
    faults = list(jsonschema_rs.validator_for(schemas.ANSWERS[method, path]).iter_errors(value))
    assert not faults, (method, path, [fault.message for fault in faults])


def test_refused_calls_leave_nothing_behind(wallet: Wallet) -> None:
    """What the run above sent without a right message made no leaf of a grant."""
    with wallet.city.engine.begin() as connection:
        counts = connection.execute(text("SELECT count(*) FROM grant_row WHERE counter > 9")).scalar_one()
    assert counts == 0


# ── the data holder ──────────────────────────────────────────────────────────────────────────


def test_no_described_call_to_a_data_holder_ends_in_a_fault(tmp_path_factory: pytest.TempPathFactory) -> None:
    city = City(tmp_path_factory.mktemp("holder"))

    def send(case: Any) -> None:
        headers = {"Content-Type": printable(case.media_type)} if case.media_type else {}
        if proof := printable((case.headers or {}).get(spec.REQUEST_PROOF_HEADER, "")):
            headers[spec.REQUEST_PROOF_HEADER] = proof
        path = path_of(case) + query_of(case)
        answer = city.call(case.method.upper(), path, content=bytes_of(case), headers=headers)
        assert answer.status_code in ALLOWED, (case.method, case.path, answer.status_code, answer.text[:200])

    for operation in operations(holder_document()):
        probe(operation, send)
