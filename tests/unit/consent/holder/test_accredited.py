"""A grant for any accredited service (ADR 0009, D13): the data holder checks it itself, at every use."""

from typing import Any

import pytest

from consent.errors import MessageError
from consent.grant.accreditation import VerifiedAccreditation
from consent.grant.detail import Grantee
from identity.errors import StatusUnavailable, TrustError
from tests.holder_city import NOW, OTHER_SERVICE, SERVICE, City, Wallet
from tests.unit.consent.holder.test_release import read, reasons

VCT, ACCREDITOR = "urn:atorga:accreditation:1", "urn:atorga:party:generalitat"
GRANTEE = Grantee(VCT, ACCREDITOR)


def shown(**changes: Any) -> VerifiedAccreditation:
    named: dict[str, Any] = {
        "service": OTHER_SERVICE, "vct": VCT, "accreditor": ACCREDITOR, "until": NOW + 1_000,
        "status": ("https://status.example/1", 7), "issuer": "https://issuer.example",
    }  # fmt: skip
    return VerifiedAccreditation(**named | changes)


def test_another_service_that_is_accredited(city: City, anna: Wallet) -> None:
    city.accreditations["right"] = shown()
    grant_id = city.grant(anna, grantee=GRANTEE)
    assert read(city, grant_id, service=OTHER_SERVICE, accreditation="right") == {"income.band": "3"}
    assert [one["service"] for one in city.journal(anna)["releases"]] == [OTHER_SERVICE], "who asked, by its own name"
    assert read(city, grant_id) == {"income.band": "3"}, "the service that asked the resident needs none"


@pytest.mark.parametrize(
    "changes",
    [{"service": SERVICE}, {"vct": "urn:atorga:other:1"}, {"accreditor": "urn:atorga:party:nobody"}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_accreditation(city: City, anna: Wallet, changes: dict[str, Any]) -> None:
    city.accreditations["wrong"] = shown(**changes)
    answer = city.read(city.grant(anna, grantee=GRANTEE), service=OTHER_SERVICE, accreditation="wrong")
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")
    assert city.journal(anna)["releases"] == []


def test_a_grant_that_names_its_service_alone(city: City, anna: Wallet) -> None:
    city.accreditations["right"] = shown()
    answer = city.read(city.grant(anna), service=OTHER_SERVICE, accreditation="right")
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")


def test_without_showing_it(city: City, anna: Wallet) -> None:
    assert reasons(city.read(city.grant(anna, grantee=GRANTEE), service=OTHER_SERVICE)) == [("unknown_grant", None)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (MessageError("accreditation: it was revoked"), (400, "invalid_request")),
        (StatusUnavailable("status list: no copy of it is known"), (503, "status_unavailable")),
        (TrustError("registry: the list has expired"), (503, "registry_unavailable")),
    ],
    ids=["revoked", "status unknown", "list stale"],
)
def test_what_does_not_hold_now_counts_no_use(
    city: City, anna: Wallet, fault: Exception, expected: tuple[int, str]
) -> None:
    city.accreditations["fails"] = fault
    answer = city.read(city.grant(anna, grantee=GRANTEE), service=OTHER_SERVICE, accreditation="fails")
    assert (answer.status_code, answer.json()["error"]) == expected
    assert city.consent.asked == []
