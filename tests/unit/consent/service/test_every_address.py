"""What holds of every address that takes a body or a proof, whatever it is for: the table itself is walked."""

from typing import Any

import pytest

from consent import spec
from consent.service.address import KEY, NEWCOMER, PARTY, Address
from consent.service.exchange import MAX_BODY_BYTES
from consent.service.routes import addresses
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.consent_city import SERVICE, Clock, ConsentCity, Wallet

ID = base64url.encode(bytes(16))


def served(city: ConsentCity) -> list[Address]:
    found = list(addresses(city.office))
    assert len(found) > 40
    return found


def path(address: Address) -> str:
    parts = (ID if part.startswith("{") else part for part in address.path.split("/"))
    return "/".join(parts)


def signer(wallet: Wallet, address: Address) -> SoftwareSigner:
    return wallet.city.signer(SERVICE) if address.proof == PARTY else wallet.key


def test_too_much_and_another_kind_are_refused_unread(wallet: Wallet) -> None:
    city = wallet.city
    for address in served(city):
        if address.takes is None:
            continue
        large = city.send(address.method, path(address), b"x" * (MAX_BODY_BYTES + 1), content_type=address.takes)
        assert (large.status_code, large.json()["error"]) == (413, "invalid_request"), address.path
        other = city.send(address.method, path(address), b"{}", content_type="text/html")
        assert other.status_code == 415, address.path


def test_without_a_proof_nobody_is_anybody(wallet: Wallet) -> None:
    city = wallet.city
    for address in served(city):
        if address.proof not in (KEY, PARTY, NEWCOMER):
            continue
        media = address.takes or spec.MEDIA_JSON
        answer = city.send(address.method, path(address), b"{}" if address.takes else b"", content_type=media)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_proof"), address.path


@pytest.mark.parametrize("how", ["body", "method", "path", "stranger", "old", "early", "nonce"])
def test_a_proof_is_for_one_call_by_one_key(wallet: Wallet, how: str) -> None:
    city = wallet.city
    city.get("/services")
    now = int(city.clock())
    for address in served(city):
        if address.proof not in (KEY, PARTY):
            continue
        body = b"{}" if address.takes else b""
        wrong: dict[str, dict[str, Any]] = {
            "method": {"method": "PUT"}, "path": {"url": f"{city.url}/other"},
            "old": {"now": now - 61}, "early": {"now": now + 61}, "nonce": {"nonce": "guessed"},
        }  # fmt: skip
        changes = wrong.get(how, {})
        key = SoftwareSigner.generate() if how == "stranger" else signer(wallet, address)
        covered = b'{"a":1}' if how == "body" else body
        proof = city.proof(key, address.method, path(address), covered, **changes)
        media = address.takes or spec.MEDIA_JSON
        answer = city.send(address.method, path(address), body, request_proof=proof, content_type=media)
        expected = "use_proof_nonce" if how == "nonce" else "invalid_proof"
        assert (answer.status_code, answer.json()["error"]) == (401, expected), address.path


def test_a_proof_is_spent_by_its_call(wallet: Wallet) -> None:
    city = wallet.city
    city.get("/services")
    for address in served(city):
        # A use spends its proof with the use itself; it has tests of its own.
        if address.proof not in (KEY, PARTY) or address.path == "/uses":
            continue
        body = b'{"unknown":1}' if address.takes else b""
        proof = city.proof(signer(wallet, address), address.method, path(address), body)
        media = address.takes or spec.MEDIA_JSON
        first, again = (
            city.send(address.method, path(address), body, request_proof=proof, content_type=media) for _ in range(2)
        )
        assert first.status_code not in (401, 500, 503), (address.path, first.text)
        assert (again.status_code, again.json()["error"]) == (401, "invalid_proof"), address.path


def test_a_residents_key_is_no_partys_and_a_partys_no_residents(wallet: Wallet) -> None:
    city = wallet.city
    city.get("/services")
    for address in served(city):
        if address.proof not in (KEY, PARTY):
            continue
        body = b"{}" if address.takes else b""
        key = wallet.key if address.proof == PARTY else city.signer(SERVICE)
        proof = city.proof(key, address.method, path(address), body)
        media = address.takes or spec.MEDIA_JSON
        answer = city.send(address.method, path(address), body, request_proof=proof, content_type=media)
        assert answer.status_code == 401, address.path


def test_without_a_database_everything_is_out_of_service(wallet: Wallet) -> None:
    """503, never 500, and nothing half done."""
    city = wallet.city
    assert isinstance(city.clock, Clock)
    city.engine.dispose()
    database = city.folder / "consent.db"
    database.rename(city.folder / "gone.db")
    database.mkdir()
    try:
        for address in served(city):
            if address.proof not in (KEY, PARTY) or address.path == "/uses":
                continue
            body = b"{}" if address.takes else b""
            proof = city.proof(signer(wallet, address), address.method, path(address), body)
            media = address.takes or spec.MEDIA_JSON
            answer = city.send(address.method, path(address), body, request_proof=proof, content_type=media)
            # What a connection that was open still knows is refused for what it is.
            assert answer.status_code in (400, 401, 403, 404, 503), (address.path, answer.status_code, answer.text)
    finally:
        database.rmdir()
        (city.folder / "gone.db").rename(database)
