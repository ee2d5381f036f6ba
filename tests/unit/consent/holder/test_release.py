"""The data holder's enforcement point over HTTP: what it releases, and how often."""

import json
from typing import Any

import pytest

from consent.grant.detail import Frequency, Term
from consent.grant.use import UseRequest, open_data_answer
from consent.holder import journal
from consent.holder.journal import journal_root
from identity.envelope import jws
from identity.errors import StatusUnavailable
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.signer import SoftwareSigner
from tests.holder_city import ANNA, BERTA, CLAIM, HOLDER, INCOME, OTHER_SERVICE, SERVICE, City, Wallet


def opened(city: City, compact: str, reply: AgreementPrivateKey, body: dict[str, Any]) -> dict[str, Any]:
    """The attributes, as the service opens them."""
    claims = jws.parse(compact).claims()
    request = UseRequest(
        service=claims["iss"], holder=claims["aud"], id=claims["jti"], issued=claims["iat"], expires=claims["exp"],
        grant_id=claims["grant_id"], purpose=claims["purpose"], procedure=claims["procedure"],
        attributes=tuple(claims["attributes"]), expected_subject=None,
        reply_key=AgreementPublicKey.from_jwk(claims["reply_key"]),
    )  # fmt: skip
    answer = open_data_answer(
        reply,
        body["sealed"],
        holder_key=city.keys[HOLDER].public_key,
        holder=HOLDER,
        use_id=body["use_id"],
        request=request,
        request_hash=jws.digest(compact),
    )
    return dict(answer.attributes)


def read(city: City, grant_id: str, **changes: Any) -> dict[str, Any]:
    reply = AgreementPrivateKey.generate()
    compact = city.use_request(grant_id, reply=reply, **changes)
    answer = city.send(compact)
    assert answer.status_code == 200, answer.text
    return opened(city, compact, reply, answer.json())


def reasons(answer: Any) -> list[tuple[str, str | None]]:
    assert answer.status_code == 403, answer.text
    value = answer.json()
    assert value.keys() == {"decision", "grant_id", "reasons"} and value["decision"] == "deny"
    return [(reason["code"], reason["attribute"]) for reason in value["reasons"]]


def test_the_value_is_reduced_to_what_was_granted(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    assert read(city, grant_id, attributes=("income.band", "household.size")) == {
        "income.band": "3",
        "household.size": 3,
    }
    terms = {"income.band": Term("predicate:below-iprem-3", False)}
    other = city.grant(anna, terms=terms, datatypes=("income.band",))
    assert read(city, other) == {"income.band": True}


def test_a_row_without_a_value_says_null(city: City) -> None:
    berta = city.resident(BERTA)
    grant_id = city.grant(berta)
    assert read(city, grant_id, attributes=("household.size",)) == {"household.size": None}


def test_answer_has_exactly_the_members_of_the_wire(city: City, anna: Wallet) -> None:
    body = city.read(city.grant(anna)).json()
    assert body.keys() == {"use_id", "grant_id", "counter", "sealed", "proof"}
    assert body["counter"] == 2


def test_nothing_of_the_value_is_stored_or_sent_in_clear(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, terms={"income.band": Term("raw", False)}, datatypes=("income.band",))
    reply = AgreementPrivateKey.generate()
    compact = city.use_request(grant_id, reply=reply)
    answer = city.send(compact)
    assert opened(city, compact, reply, answer.json()) == {"income.band": INCOME}
    stored = b"".join(path.read_bytes() for path in city.folder.glob("holder.db*"))
    for secret in (str(INCOME), ANNA, "Anna"):
        assert secret.encode() not in stored and secret not in answer.text


def test_the_journal_names_what_was_released(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    uses = [city.read(grant_id).json() for _ in range(3)]
    found = city.journal(anna)
    assert found.keys() == {"releases", "root"}
    assert [(one["use_id"], one["counter"]) for one in found["releases"]] == [
        (use["use_id"], use["counter"]) for use in uses
    ]
    assert found["releases"][0] == {
        "use_id": uses[0]["use_id"],
        "grant_id": grant_id,
        "counter": 2,
        "time": int(city.clock()),
        "service": SERVICE,
        "attributes": ["income.band"],
    }
    entries = [journal.JournalEntry(**{**one, "attributes": tuple(one["attributes"])}) for one in found["releases"]]
    assert journal_root(entries) == found["root"] != journal_root(entries[:2]) != journal_root([])


def test_the_journal_is_the_rows_own(city: City, anna: Wallet) -> None:
    city.read(city.grant(anna))
    berta, again = city.resident(BERTA), city.resident(ANNA)
    assert city.journal(berta)["releases"] == []
    assert len(city.journal(again)["releases"]) == 1, "another link of the same row reads the same journal"


# Once per use and use request.


def test_the_same_request_gets_the_stored_answer_until_its_end(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    compact = city.use_request(grant_id)
    first = city.send(compact)
    city.clock.now += 59
    again = city.send(compact)
    assert (again.status_code, again.text) == (200, first.text)
    assert len(city.consent.asked) == 1, "the consent service is not asked again"
    city.clock.now += 1
    assert reasons(city.send(compact)) == [("replayed", None)]
    assert len(city.journal(anna)["releases"]) == 1


def test_a_stored_answer_does_not_outlive_a_withdrawal(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    compact = city.use_request(grant_id)
    assert city.send(compact).status_code == 200
    city.withdraw(anna, grant_id)
    assert reasons(city.send(compact)) == [("withdrawn", None)]


def test_a_late_request_that_nobody_answered_is_stale(city: City, anna: Wallet) -> None:
    compact = city.use_request(city.grant(anna))
    city.clock.now += 60
    answer = city.send(compact)
    assert (answer.status_code, answer.json()["error"]) == (400, "stale_request")
    assert city.consent.asked == []


def test_a_stored_answer_is_erased_at_its_end(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    sealed = city.read(grant_id).json()["sealed"]
    assert any(sealed.encode() in path.read_bytes() for path in city.folder.glob("holder.db*"))
    city.clock.now += 60
    city.read(grant_id)
    with city.services.links._engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT answer FROM stored_answer").scalars().all()
    assert len(kept) == 1 and sealed not in kept[0]


# The expected subject.


def test_expected_subject(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    assert read(city, grant_id, subject={CLAIM: ANNA}) == {"income.band": "3"}
    compact = city.use_request(grant_id, subject={CLAIM: BERTA})
    assert reasons(city.send(compact)) == [("subject_mismatch", None)]
    assert reasons(city.send(compact)) == [("subject_mismatch", None)], "the same request, the same answer"
    assert len(city.consent.asked) == 2, "the use stays counted, and is counted once"
    found = city.journal(anna)["releases"]
    assert [one["attributes"] for one in found] == [["income.band"], []], "nothing released"


@pytest.mark.parametrize(
    "subject", [{}, {"other": ANNA}, {CLAIM: ANNA, "other": "x"}, {CLAIM: 7}, {CLAIM: ""}], ids=str
)
def test_a_subject_of_another_shape_counts_no_use(city: City, anna: Wallet, subject: dict[str, Any]) -> None:
    answer = city.read(city.grant(anna), subject=subject)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert city.consent.asked == [] and city.journal(anna)["releases"] == []


def test_a_subject_for_another_request_counts_no_use(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    other = jws.parse(city.use_request(grant_id, subject={CLAIM: ANNA})).claims()["expected_subject"]
    assert city.read(grant_id, expected_subject=other).status_code == 400
    assert city.consent.asked == []


# The limits that the resident signed, counted here as well.


def test_max_uses_hold_against_a_consent_service_that_forgets_them(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, max_uses=2)
    assert [city.read(grant_id).status_code for _ in range(2)] == [200, 200]
    compact = city.use_request(grant_id)
    assert reasons(city.send(compact)) == [("max_uses", None)]
    assert reasons(city.send(compact)) == [("max_uses", None)]
    assert [one["attributes"] for one in city.journal(anna)["releases"]][2:] == [[]]


def test_once_is_once_against_a_consent_service_that_forgets_it(city: City, anna: Wallet) -> None:
    """``fetch`` onetime needs no ``max_uses`` beside it (WIRE C3)."""
    grant_id = city.grant(anna, fetch="onetime")
    assert city.read(grant_id).status_code == 200
    assert reasons(city.read(grant_id)) == [("max_uses", None)]


def test_frequency_holds_against_a_consent_service_that_forgets_it(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, frequency=Frequency(2, 100))
    outcomes = []
    for seconds in (0, 50, 49, 1, 0, 99, 1):
        city.clock.now += seconds
        outcomes.append(city.read(grant_id).status_code)
    assert outcomes == [200, 200, 403, 200, 200, 403, 200], "as the ledger counts: a window from its first use"


# Faults.


def test_a_register_that_does_not_answer_releases_nothing(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    (city.folder / "register.sqlite").write_bytes(b"no database at all" * 100)
    compact = city.use_request(grant_id)
    for _ in range(2):
        answer = city.send(compact)
        assert (answer.status_code, answer.json()["error"]) == (503, "register_unavailable")
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [[]]


def test_without_the_signed_list_nothing_is_released(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    compact = city.use_request(grant_id)
    city.registry_down = True
    answer = city.send(compact)
    assert (answer.status_code, answer.json()["error"]) == (503, "registry_unavailable")


def test_the_previous_hpke_key_still_opens(city: City, anna: Wallet) -> None:
    detail = city.detail()
    signed = city.signed_grant(anna, city.request(detail), detail)
    grant_id = city.consent.give(
        signed, city.locator(anna, signed, key=city.previous_hpke), city.declaration.resolutions
    )
    assert read(city, grant_id) == {"income.band": "3"}
    berta = Wallet(BERTA)
    assert city.call("POST", "/links", json=city.link_body(berta, key=city.previous_hpke)).status_code == 201


# What bad requests get.


def test_bodies(city: City, anna: Wallet) -> None:
    compact = city.use_request(city.grant(anna))
    jwt = {"Content-Type": "application/jwt"}
    assert city.call("POST", "/data", content=compact).status_code == 415
    assert city.call("POST", "/data", content="x" * 65_537, headers=jwt).status_code == 413
    for body in (b"", b"{}", b"a.b.c", "ñ.ñ.ñ".encode(), compact.encode() + b"\n", b"\xff\xfe", compact[:-4].encode()):
        answer = city.call("POST", "/data", content=body, headers=jwt)
        assert answer.status_code == 400, body
        assert answer.json()["error"] in ("invalid_request", "bad_signature")
    assert city.consent.asked == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"signer": SoftwareSigner.generate()}, "bad_signature"),
        ({"service": HOLDER}, "bad_signature"),
        ({"holder": OTHER_SERVICE}, "invalid_request"),
        ({"expires": 1_795_315_110 + 61}, "invalid_request"),
        ({"issued": 1_795_315_110 + 3, "expires": 1_795_315_110 + 60}, "stale_request"),
    ],
    ids=["another key", "no service", "another data holder", "too long", "from the future"],
)
def test_requests_that_are_refused_before_anybody_is_asked(
    city: City, anna: Wallet, changes: dict[str, Any], error: str
) -> None:
    answer = city.read(city.grant(anna), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert city.consent.asked == [] and city.journal(anna)["releases"] == []


def test_a_reply_key_changed_under_way(city: City, anna: Wallet) -> None:
    compact = city.use_request(city.grant(anna))
    claims = jws.parse(compact).claims() | {"reply_key": AgreementPrivateKey.generate().public.jwk()}
    thief = SoftwareSigner.generate()
    kid = city.keys[SERVICE].public_key.thumbprint
    answer = city.send(jws.sign(claims, thief, typ="use-request+jwt", header={"kid": kid}))
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_signature")


def test_a_service_struck_from_the_list(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    compact = city.use_request(grant_id)
    del city.parties[SERVICE]
    answer = city.send(compact)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_signature")


def test_another_service_learns_nothing_of_a_grant(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    for name in (grant_id, "AAAAAAAAAAAAAAAAAAAAAA"):
        assert reasons(city.read(name, service=OTHER_SERVICE)) == [("unknown_grant", None)]
    city.read(grant_id)
    city.withdraw(anna, grant_id)
    assert reasons(city.read(grant_id, service=OTHER_SERVICE)) == [("unknown_grant", None)]


def test_errors_quote_no_value(city: City, anna: Wallet) -> None:
    city.status_faults.append(StatusUnavailable("status list: no copy of it is known"))
    answers = [
        city.call("POST", "/links", json=city.link_body(Wallet(ANNA))),
        city.read(city.grant(anna), subject={CLAIM: BERTA}),
        city.call("POST", "/links", json=city.link_body(Wallet("00000000T"))),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        assert not any(secret in json.dumps(answer.json()) for secret in (ANNA, BERTA, "00000000T", str(INCOME)))
