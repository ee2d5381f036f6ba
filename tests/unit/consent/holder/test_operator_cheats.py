"""What the operator of the consent service cannot do: each is refused by the data holder itself (issue 2).

another resident's row, a locator moved to another grant, a grant it minted with keys of its own,
a wider use than was signed, an allow forged, changed, too old or proven by another log,
a use after a withdrawal that it dropped, and being down.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consent.grant.grant import REFUSED, sign_grant, verify_grant
from consent.grant.use import Allow, Deny, Reason, UseRequest
from consent.holder.source import SqlSource
from consent.ledger.leaf import GROUPED, Kind, Leaf
from consent.log.writer import LogWriter
from consent.procedure.declaration import sign_declaration
from identity.codec import base64url
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner
from tests.holder_city import ANNA, BERTA, CONSENT, NOW, OTHER_SERVICE, SERVICE, City, Wallet, purpose_declaration


def assert_unproven(city: City, wallet: Wallet, answer: Any) -> None:
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven"), answer.text
    assert city.journal(wallet)["releases"] == []


def minted(city: City, thief: Wallet, victim: Wallet, *, link_key: SoftwareSigner | None = None) -> str:
    """A grant made without the resident: own grant key, the victim's link."""
    detail = city.detail()
    signed = city.signed_grant(thief, city.request(detail), detail)
    forged = replace(thief, link=victim.link, link_key=link_key or thief.link_key)
    return city.consent.give(signed, city.locator(forged, signed), city.declaration.resolutions)


def test_a_grant_minted_with_keys_of_its_own(city: City, anna: Wallet) -> None:
    assert_unproven(city, anna, city.read(minted(city, Wallet(ANNA), anna)))


def test_another_residents_row(city: City, anna: Wallet) -> None:
    """Berta has a link of her own and knows Anna's handle: her link key does not speak for Anna's row."""
    berta = city.resident(BERTA)
    assert_unproven(city, anna, city.read(minted(city, berta, anna, link_key=berta.link_key)))


def test_an_unknown_link(city: City, anna: Wallet) -> None:
    stranger = Wallet(ANNA, link="AAAAAAAAAAAAAAAAAAAAAA")
    assert_unproven(city, anna, city.read(minted(city, Wallet(ANNA), stranger)))


def test_a_locator_moved_to_another_grant(city: City, anna: Wallet) -> None:
    berta = city.resident(BERTA)
    good, other = city.grant(anna), city.grant(berta)
    city.consent.grants[other].locator = city.consent.grants[good].locator
    assert_unproven(city, anna, city.read(other))


def test_a_locator_sealed_to_a_key_served_in_place_of_the_declared_one(city: City, anna: Wallet) -> None:
    """Wallets read the key from the signed declaration; what was sealed to another never opens here."""
    grant_id = city.grant(anna)
    given = city.consent.grants[grant_id]
    given.locator = city.locator(anna, given.jws, key=AgreementPrivateKey.generate())
    assert_unproven(city, anna, city.read(grant_id))


def accept(city: City, wallet: Wallet, signed: str) -> str:
    """The consent service takes a grant that an honest one would refuse."""
    grant = verify_grant(
        signed, key_of=city.key_of, consent=CONSENT, resolutions=lambda _: city.declaration.resolutions, fresh_at=None
    )
    return city.consent.accept(grant, city.locator(wallet, signed))


def test_the_grant_of_one_service_passed_off_on_another(city: City, anna: Wallet) -> None:
    detail = city.detail()
    grant_id = accept(city, anna, city.signed_grant(anna, city.request(detail, service=OTHER_SERVICE), detail))
    given = city.consent.grants[grant_id]
    request = replace(given.grant.request, request=replace(given.grant.request.request, service=SERVICE))
    given.grant = replace(given.grant, request=request)
    declared = sign_declaration(purpose_declaration(iss=OTHER_SERVICE), city.keys[OTHER_SERVICE])
    city.consent.declarations.append(declared)
    assert_unproven(city, anna, city.read(grant_id))


def test_another_grant_of_the_same_resident_and_service(city: City, anna: Wallet) -> None:
    """One that is alive in place of the one that is not."""
    asked, other = city.grant(anna), city.grant(anna)
    city.consent.grants[asked].jws = city.consent.grants[other].jws
    city.consent.grants[asked].locator = city.consent.grants[other].locator
    assert_unproven(city, anna, city.read(asked))


def test_a_grant_over_a_request_that_its_service_did_not_sign(city: City, anna: Wallet) -> None:
    real, city.keys[SERVICE] = city.keys[SERVICE], SoftwareSigner.generate()
    city.parties[SERVICE] = replace(city.parties[SERVICE], public_key=city.keys[SERVICE].public_key)
    grant_id = city.grant(anna)
    city.keys[SERVICE] = real
    city.parties[SERVICE] = replace(city.parties[SERVICE], public_key=real.public_key)
    city.consent.declarations[0] = sign_declaration(city.purpose, real)
    assert_unproven(city, anna, city.read(grant_id))


WIDER: dict[str, Callable[[UseRequest, Allow], Allow]] = {
    "finer resolution": lambda _, allow: replace(allow, resolutions={"income.band": "raw"}),
    "undeclared resolution": lambda _, allow: replace(allow, resolutions={"income.band": "binned:eur-60"}),
    "further attribute": lambda _, allow: replace(allow, resolutions={**allow.resolutions, "household.size": "raw"}),
    "another counter": lambda _, allow: replace(allow, counter=allow.counter + 1),
    "another salt": lambda _, allow: replace(allow, salt=base64url.encode(bytes(32))),
    "another event": lambda _, allow: replace(allow, event={**allow.event, "attributes": ["household.size"]}),
    "no locator": lambda _, allow: replace(allow, locator=base64url.encode(bytes(64))),
    "not a proof": lambda _, allow: replace(allow, proof=allow.proof.replace("index", "place")),
    "an event without a known time": lambda _, allow: replace(allow, event={**allow.event, "time": "yesterday"}),
    "a grant that is none": lambda _, allow: replace(allow, grant=allow.grant[:-4] + "AAAA"),
}


@pytest.mark.parametrize("name", WIDER)
def test_an_allow_changed(city: City, anna: Wallet, name: str) -> None:
    city.consent.lies.use = WIDER[name]
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_a_wider_use_than_was_signed(city: City, anna: Wallet) -> None:
    """The resident gave the income alone; the consent service allows the household as well."""
    detail = city.detail()
    given = detail.without(frozenset({"household.size"}))
    signed = city.signed_grant(anna, city.request(detail), given)
    grant_id = city.consent.give(signed, city.locator(anna, signed), city.declaration.resolutions)
    city.consent.grants[grant_id].active = ("income.band", "household.size")
    assert city.read(grant_id).status_code == 200
    answer = city.read(grant_id, attributes=("household.size",))
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({"not_after": NOW + 100}, {}),
        ({"not_before": NOW + 100}, {}),
        ({"level": "discoverable"}, {}),
        ({}, {"procedure": "library-card"}),
        ({}, {"purpose": "https://w3id.org/dpv#Marketing"}),
    ],
    ids=["after its end", "before its start", "not readable", "another procedure", "another purpose"],
)
def test_a_use_outside_the_grant(city: City, anna: Wallet, changes: dict[str, Any], asks: dict[str, Any]) -> None:
    grant_id = city.grant(anna, **changes)
    if "not_after" in changes:
        city.clock.now = NOW + 100
    if "purpose" in asks:
        detail = city.consent.grants[grant_id].grant.detail
        city.consent.grants[grant_id].grant = replace(
            city.consent.grants[grant_id].grant, detail=replace(detail, purpose=asks["purpose"])
        )
        city.consent.purposes[asks["purpose"]] = 3
        city.consent.lies.leaf = lambda leaf: replace(leaf, purpose=3)
    assert_unproven(city, anna, city.read(grant_id, **asks))


def test_a_refusal_passed_off_as_a_grant(city: City, anna: Wallet) -> None:
    detail = city.detail()
    request = city.request(detail)
    signed = sign_grant(
        grant_id=base64url.encode(secrets.token_bytes(16)), request=request, detail=detail, decision=REFUSED,
        now=NOW, signer=anna.grant_key,
    )  # fmt: skip
    grant_id = city.consent.give(signed, city.locator(anna, signed), city.declaration.resolutions)
    assert_unproven(city, anna, city.read(grant_id))


# The answer's signature, addressee and time.


def test_an_allow_that_the_consent_service_did_not_sign(city: City, anna: Wallet) -> None:
    city.consent.lies.signer = SoftwareSigner.generate()
    assert_unproven(city, anna, city.read(city.grant(anna)))


ANSWERS: dict[str, Callable[[UseRequest, Allow], Allow]] = {
    "for another data holder": lambda _, allow: replace(allow, holder=OTHER_SERVICE),
    "of another consent service": lambda _, allow: replace(allow, consent=OTHER_SERVICE),
    "to another use request": lambda _, allow: replace(allow, use_request_hash=base64url.encode(bytes(32))),
    "about another grant": lambda _, allow: replace(allow, grant_id="AAAAAAAAAAAAAAAAAAAAAA"),
    "older than 5 s": lambda _, allow: replace(allow, issued=allow.issued - 5, release_before=allow.release_before - 5),
    "longer than 5 s": lambda _, allow: replace(allow, release_before=allow.release_before + 1),
    "from the future": lambda _, allow: replace(allow, issued=allow.issued + 3, release_before=allow.issued + 8),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_ours_or_not_now(city: City, anna: Wallet, name: str) -> None:
    city.consent.lies.use = ANSWERS[name]
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_an_old_allow_played_again(city: City, anna: Wallet) -> None:
    """The same use request, an allow from 5 s ago, and nothing recorded since the release failed."""
    grant_id = city.grant(anna)
    compact = city.use_request(grant_id)
    city.consent.decide(compact, city.declaration.iss)
    city.clock.now += 5
    assert_unproven(city, anna, city.send(compact))


def test_the_time_runs_out_while_the_register_reads(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    source = city.services.enforcement._source
    assert isinstance(source, SqlSource)
    read = source.resolutions.read

    def slowly(*asked: Any, **named: Any) -> Any:
        city.clock.now += 5
        return read(*asked, **named)

    source.resolutions.read = slowly  # type: ignore[method-assign]
    assert_unproven(city, anna, city.read(grant_id))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "deny", "reasons": [], "count": 1},
        {"grant_id": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"counter": 7},
        {"service": OTHER_SERVICE},
        {"purpose": "https://w3id.org/dpv#Marketing"},
        {"attributes": ["household.size"]},
        {"use_request_hash": base64url.encode(bytes(32))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_event_that_says_another_use(city: City, anna: Wallet, changes: dict[str, Any]) -> None:
    """The leaf commits to it rightly."""
    city.consent.lies.event = lambda event: event | changes
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_an_event_of_another_day(city: City, anna: Wallet) -> None:
    """Its commitment is right; a use dated back would escape the frequency that the resident signed."""
    city.consent.lies.event = lambda event: event | {"time": "2026-11-20T02:38:30.123Z"}
    assert_unproven(city, anna, city.read(city.grant(anna)))


@pytest.mark.parametrize("status", [201, 301, 400, 401, 404, 500, 503])
def test_an_allow_under_a_status_that_is_no_decision(city: City, anna: Wallet, status: int) -> None:
    city.consent.lies.status = lambda _: status
    answer = city.read(city.grant(anna))
    assert (answer.status_code, answer.json()["error"]) == (503, "consent_unavailable")
    assert city.journal(anna)["releases"] == []


def test_a_status_that_says_another_decision(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    city.consent.lies.status = lambda status: 403 if status == 200 else 200
    assert_unproven(city, anna, city.read(grant_id))


# The log.


LEAVES: dict[str, Callable[[Leaf], Leaf]] = {
    "another kind": lambda leaf: replace(leaf, kind=Kind.NOTICE),
    "another grant": lambda leaf: replace(leaf, id=bytes(16)),
    "another counter": lambda leaf: replace(leaf, counter=leaf.counter + 1),
    "another mask": lambda leaf: replace(leaf, mask=0b11),
    "another service": lambda leaf: replace(leaf, service=9),
    "another purpose": lambda leaf: replace(leaf, purpose=9),
    "another commitment": lambda leaf: replace(leaf, commitment=bytes(32)),
}


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_that_says_something_else(city: City, anna: Wallet, name: str) -> None:
    city.consent.lies.leaf = LEAVES[name]
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_a_leaf_under_group_codes_is_not_compared_with_the_published_numbers(city: City, anna: Wallet) -> None:
    city.consent.lies.leaf = lambda leaf: replace(leaf, flags=GROUPED, service=90, purpose=91)
    assert city.read(city.grant(anna)).status_code == 200


def test_a_proof_by_another_log(city: City, anna: Wallet) -> None:
    city.consent.lies.log = LogWriter(city.folder / "second", "localhost:8101/log/2026", Ed25519Signer(bytes(32)))
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_one_leaf_for_two_uses(city: City, anna: Wallet) -> None:
    """The second use gets the first one's counter, event and proof under a new use id."""
    grant_id = city.grant(anna)
    assert city.read(grant_id).status_code == 200
    city.consent.grants[grant_id].counter -= 1
    answer = city.read(grant_id)
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")
    assert len(city.journal(anna)["releases"]) == 1


def test_one_use_id_for_two_uses(city: City, anna: Wallet) -> None:
    city.consent.lies.use = lambda _, allow: replace(allow, use_id="AAAAAAAAAAAAAAAAAAAAAA")
    grant_id = city.grant(anna)
    assert [city.read(grant_id).status_code for _ in range(2)] == [200, 503]


def test_two_grants_under_one_id(city: City, anna: Wallet) -> None:
    """A second grant, also signed by the resident, must not take the place of the one that was withdrawn."""
    grant_id = city.grant(anna)
    assert city.read(grant_id).status_code == 200
    city.withdraw(anna, grant_id)
    again, detail = replace(anna, grant_key=SoftwareSigner.generate()), city.detail()
    accept(city, again, city.signed_grant(again, city.request(detail), detail, grant_id))
    answer = city.read(grant_id, service=SERVICE)
    assert answer.status_code == 403, "the withdrawal of the known grant comes first"


def test_two_grants_under_one_id_before_any_withdrawal(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    assert city.read(grant_id).status_code == 200
    counter = city.consent.grants[grant_id].counter
    again, detail = replace(anna, grant_key=SoftwareSigner.generate()), city.detail()
    accept(city, again, city.signed_grant(again, city.request(detail), detail, grant_id))
    city.consent.grants[grant_id].counter = counter
    answer = city.read(grant_id)
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")


# Being down, and what it publishes.


def test_the_consent_service_is_down(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    city.consent.lies.down = True
    answer = city.read(grant_id)
    assert (answer.status_code, answer.json()["error"]) == (503, "consent_unavailable")
    assert city.journal(anna)["releases"] == []


def test_the_consent_service_does_not_listen(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    city.hosts = {url: app for url, app in city.hosts.items() if not url.endswith("8101")}
    services = city.holder_services()
    city.services.enforcement._consent = services.enforcement._consent
    answer = city.read(grant_id)
    assert (answer.status_code, answer.json()["error"]) == (503, "consent_unavailable")


def test_deny_is_passed_on_with_its_reasons(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    city.consent.grants[grant_id].state = "paused"
    answer = city.read(grant_id)
    assert answer.status_code == 403
    assert answer.json() == {
        "decision": "deny",
        "grant_id": grant_id,
        "reasons": [{"code": "paused", "attribute": None}],
    }


def test_a_deny_of_another_day_is_no_answer(city: City, anna: Wallet) -> None:
    city.consent.lies.use = lambda _, allow: Deny(
        allow.grant_id, (Reason("paused"),), allow.consent, allow.holder, allow.issued - 60, allow.use_request_hash
    )
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_numbers_that_change(city: City, anna: Wallet) -> None:
    assert city.read(city.grant(anna)).status_code == 200
    city.consent.services[SERVICE] = 7
    city.consent.services[OTHER_SERVICE] = 1
    detail = city.detail()
    signed = city.signed_grant(anna, city.request(detail, service=OTHER_SERVICE), detail)
    city.consent.declarations.append(sign_declaration(purpose_declaration(iss=OTHER_SERVICE), city.keys[OTHER_SERVICE]))
    grant_id = city.consent.give(signed, city.locator(anna, signed), city.declaration.resolutions)
    answer = city.read(grant_id, service=OTHER_SERVICE)
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")


def test_a_service_without_a_number(city: City, anna: Wallet) -> None:
    del city.consent.services[SERVICE]
    assert_unproven(city, anna, city.read(city.grant(anna)))


# Declarations at run time.


DECLARED: dict[str, dict[str, Any]] = {
    "another procedure": {"procedure": "library-card"},
    "another purpose": {"purpose": "https://w3id.org/dpv#Marketing"},
    "fewer attributes": {"datatypes": ("income.band",)},
    "other data holders": {"holders": (OTHER_SERVICE,)},
    "another version": {"version": 2},
}


@pytest.mark.parametrize("name", DECLARED)
def test_more_than_the_service_declared(city: City, anna: Wallet, name: str) -> None:
    city.consent.declarations[0] = sign_declaration(purpose_declaration(**DECLARED[name]), city.keys[SERVICE])
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_a_declaration_that_its_service_did_not_sign(city: City, anna: Wallet) -> None:
    city.consent.declarations[0] = sign_declaration(city.purpose, city.keys[CONSENT])
    assert_unproven(city, anna, city.read(city.grant(anna)))


def test_a_purpose_that_the_data_holder_never_declared(city: City, anna: Wallet) -> None:
    marketing = "https://w3id.org/dpv#Marketing"
    city.consent.purposes[marketing] = 9
    city.consent.declarations[0] = sign_declaration(purpose_declaration(purpose=marketing), city.keys[SERVICE])
    city.consent.lies.leaf = lambda leaf: replace(leaf, purpose=9)
    assert_unproven(city, anna, city.read(city.grant(anna, purpose=marketing), purpose=marketing))


# Sensitive purposes wait for their witnesses.


def sensitive(city: City) -> None:
    city.consent.declarations[0] = sign_declaration(purpose_declaration(sensitive=True), city.keys[SERVICE])


def test_a_sensitive_purpose_without_configured_witnesses(city: City, anna: Wallet) -> None:
    sensitive(city)
    assert_unproven(city, anna, city.read(city.grant(anna)))


@pytest.mark.parametrize("cosigned", [False, True])
def test_a_sensitive_purpose_needs_its_quorum(city: City, anna: Wallet, cosigned: bool) -> None:
    sensitive(city)
    city.services.enforcement._quorum = city.quorum
    if cosigned:
        city.consent.witness = Ed25519Signer(bytes(range(1, 33)))
        assert city.read(city.grant(anna)).status_code == 200
    else:
        assert_unproven(city, anna, city.read(city.grant(anna)))


def test_a_cosignature_by_somebody_else(city: City, anna: Wallet) -> None:
    sensitive(city)
    city.services.enforcement._quorum = city.quorum
    city.consent.witness = Ed25519Signer(bytes(32))
    assert_unproven(city, anna, city.read(city.grant(anna)))


# A withdrawal that the consent service drops.


def test_a_dropped_withdrawal_of_a_known_grant(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    assert city.read(grant_id).status_code == 200
    assert city.withdraw(anna, grant_id).json()["state"] == "withdrawn"
    answer = city.read(grant_id)
    assert (answer.status_code, answer.json()["reasons"]) == (403, [{"code": "withdrawn", "attribute": None}])
    assert len(city.consent.asked) == 1, "the consent service is not even asked"


def test_a_dropped_withdrawal_of_a_grant_not_yet_known_here(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    assert city.withdraw(anna, grant_id).json() == {"state": "noted"}
    for asked in (1, 1):
        answer = city.read(grant_id)
        assert (answer.status_code, answer.json()["reasons"]) == (403, [{"code": "withdrawn", "attribute": None}])
        assert len(city.consent.asked) == asked, "the grant is known from its first allow on"
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [[]], "nothing released"


def test_a_dropped_withdrawal_of_one_attribute(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    city.withdraw(anna, grant_id, ("household.size",))
    answer = city.read(grant_id, attributes=("income.band", "household.size"))
    assert answer.json()["reasons"] == [{"code": "withdrawn", "attribute": "household.size"}]
    assert city.read(grant_id).status_code == 200


def test_a_withdrawal_while_the_consent_service_is_asked(city: City, anna: Wallet) -> None:
    """It comes between the decision and the release; the journal's transaction sees it."""
    grant_id = city.grant(anna)
    assert city.read(grant_id).status_code == 200

    def meanwhile(_: UseRequest, allow: Allow) -> Allow:
        city.withdraw(anna, grant_id)
        return allow

    city.consent.lies.use = meanwhile
    answer = city.read(grant_id)
    assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (403, "withdrawn")


def test_a_withdrawal_noted_a_year_ago_holds_once_the_grant_is_known(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, not_after=NOW + 900 * 86_400)
    city.withdraw(anna, grant_id)
    assert city.read(grant_id).status_code == 403
    city.clock.now += 400 * 86_400
    city.parties = {name: replace(one, valid_to=NOW + 10**9) for name, one in city.parties.items()}
    city.withdraw(Wallet(ANNA), "AAAAAAAAAAAAAAAAAAAAAA")
    assert city.read(grant_id).status_code == 403
