"""Access that rests on law (ADR 0009, D1), and the urgent spool (D3): approved, logged, shown, then released."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from consent.errors import PeerUnavailable
from consent.grant.notice import BasisRequest, NoticeAllow, sign_basis_request
from consent.grant.spooled_notice import verify_spooled
from consent.grant.use import UseRequest, open_data_answer, seal_subject
from consent.holder import law_journal
from consent.holder.app import holder_app
from consent.ledger.leaf import GROUPED, Kind, Leaf
from consent.log.writer import LogWriter
from consent.procedure.declaration import PurposeDeclaration, sign_declaration
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner
from identity.trust.bases import Basis
from tests.holder_city import (
    ANNA,
    BERTA,
    CLAIM,
    CONSENT,
    HOLDER,
    HOLDER_URL,
    INCOME,
    NOW,
    OTHER_SERVICE,
    PURPOSE,
    SERVICE,
    City,
    Wallet,
    purpose_declaration,
)  # fmt: skip
from tests.unit.consent.holder.test_release import reasons

LAW = "rent-inspection@1"


def declare(city: City, **changes: Any) -> str:
    """A purpose declaration that rests on law; returns its hash."""
    declaration: PurposeDeclaration = purpose_declaration(
        **{"id": "rent-inspection", "legal_basis": "legal-obligation"} | changes
    )
    compact = sign_declaration(declaration, city.keys[SERVICE])
    city.consent.declarations.append(compact)
    return jws.digest(compact)


def approve(city: City, digest: str, **changes: Any) -> None:
    named: dict[str, Any] = {
        "declaration": LAW, "declaration_hash": digest, "service": SERVICE, "holders": frozenset({HOLDER}),
        "law": {"en": "Act 12/2023, article 3"}, "approved_by": "Data protection authority", "urgent": True,
        "opposable": False, "valid_from": NOW - 100, "valid_to": NOW + 10**6,
    }  # fmt: skip
    city.approved.append(Basis(**named | changes))


@pytest.fixture
def lawful(city: City) -> City:
    approve(city, declare(city))
    return city


def basis_request(
    city: City, who: str = ANNA, *, reply: AgreementPrivateKey | None = None, signer: Any = None, **changes: Any
) -> str:
    name, now = changes.pop("id", None) or base64url.encode(secrets.token_bytes(16)), int(city.clock())
    named: dict[str, Any] = {
        "service": SERVICE, "holder": HOLDER, "id": name, "issued": now, "expires": now + 60, "declaration": LAW,
        "procedure": "rent-subsidy", "purpose": PURPOSE, "attributes": ("income.band",),
        "subject": seal_subject(city.hpke.public, service=SERVICE, request_id=name, subject={CLAIM: who}),
        "urgent": False, "visible_from": None, "reply_key": (reply or AgreementPrivateKey.generate()).public,
    } | changes  # fmt: skip
    return sign_basis_request(BasisRequest(**named), signer or city.keys[SERVICE])


def opened(city: City, compact: str, reply: AgreementPrivateKey, body: dict[str, Any]) -> dict[str, Any]:
    claims = jws.parse(compact).claims()
    request = UseRequest(
        service=claims["iss"], holder=claims["aud"], id=claims["jti"], issued=claims["iat"], expires=claims["exp"],
        grant_id=body["grant_id"], purpose=claims["purpose"], procedure=claims["procedure"],
        attributes=tuple(claims["attributes"]), expected_subject=None,
        reply_key=AgreementPublicKey.from_jwk(claims["reply_key"]),
    )  # fmt: skip
    answer = open_data_answer(
        reply, body["sealed"], holder_key=city.keys[HOLDER].public_key, holder=HOLDER, use_id=body["use_id"],
        request=request, request_hash=jws.digest(compact),
    )  # fmt: skip
    return dict(answer.attributes)


def released(city: City) -> int:
    with city.services.links._engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM release WHERE outcome = 'released'")).scalar_one())


def test_it_is_logged_then_released(lawful: City, anna: Wallet) -> None:
    reply = AgreementPrivateKey.generate()
    compact = basis_request(lawful, reply=reply)
    answer = lawful.send(compact)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"use_id", "grant_id", "counter", "sealed", "proof"}
    assert body["use_id"] == body["grant_id"] and body["counter"] == 0
    assert opened(lawful, compact, reply, body) == {"income.band": INCOME}, "the first declared resolution"
    noticed = lawful.consent.noticed
    link = lawful.services.links.by_handle(anna.link)
    assert link is not None and [one["mailboxes"] for one in noticed] == [[link.mailbox]]
    assert lawful.journal(anna)["releases"] == [
        {
            "use_id": body["use_id"], "grant_id": body["use_id"], "counter": 0, "time": NOW, "service": SERVICE,
            "attributes": ["income.band"],
        }
    ]  # fmt: skip
    assert lawful.send(compact).text == answer.text and len(noticed) == 1, "once"
    lawful.clock.now += 60
    assert reasons(lawful.send(compact)) == [("replayed", None)]


def test_nobody_with_a_wallet_is_concerned(lawful: City) -> None:
    assert lawful.send(basis_request(lawful, BERTA)).status_code == 200
    assert [one["mailboxes"] for one in lawful.consent.noticed] == [[]]


def test_eight_mailboxes_at_most(lawful: City) -> None:
    for _ in range(9):
        lawful.resident()
    assert lawful.send(basis_request(lawful)).status_code == 200
    assert len(lawful.consent.noticed[0]["mailboxes"]) == 8


def test_whether_somebody_is_in_the_register_cannot_be_asked_unseen(lawful: City) -> None:
    assert reasons(lawful.send(basis_request(lawful, "00000000T"))) == [("subject_mismatch", None)]
    assert len(lawful.consent.noticed) == 1, "the log shows that it was asked"
    assert released(lawful) == 0


def test_a_value_is_shown_to_the_resident_when_the_inquiry_ends(lawful: City, anna: Wallet) -> None:
    assert lawful.send(basis_request(lawful, visible_from=NOW + 86_400)).status_code == 200
    lawful.clock.now += 3_600
    assert lawful.send(basis_request(lawful)).status_code == 200
    before = lawful.journal(anna)["releases"]
    assert [one["time"] for one in before] == [NOW + 3_600]
    lawful.clock.now += 86_400
    after = lawful.journal(anna)["releases"]
    assert after[: len(before)] == before, "what was read stays where it was"
    assert [one["time"] for one in after] == [NOW + 3_600, NOW]


# What is not approved.


@pytest.mark.parametrize(
    "changes",
    [
        {"declaration": "rent-inspection@2"}, {"declaration_hash": base64url.encode(bytes(32))},
        {"service": OTHER_SERVICE}, {"holders": frozenset({CONSENT})}, {"valid_to": NOW}, {"valid_from": NOW + 1},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_another_basis(city: City, changes: dict[str, Any]) -> None:
    approve(city, declare(city), **changes)
    assert reasons(city.send(basis_request(city))) == [("not_approved", None)]
    assert city.consent.noticed == [] and released(city) == 0


def test_no_basis_at_all(city: City) -> None:
    declare(city)
    assert reasons(city.send(basis_request(city))) == [("not_approved", None)]


def test_without_the_list_of_bases_nothing_is_released(lawful: City) -> None:
    lawful.bases_down = True
    answer = lawful.send(basis_request(lawful, urgent=True))
    assert (answer.status_code, answer.json()["error"]) == (503, "bases_unavailable")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"legal_basis": "consent"}, ("not_approved", None)),
        ({"holders": (CONSENT,)}, ("not_approved", None)),
        ({"procedure": "other"}, ("other_purpose", None)),
        ({"purpose": "https://w3id.org/dpv#Marketing"}, ("other_purpose", None)),
        ({"datatypes": ("household.size",)}, ("attribute_not_granted", "income.band")),
    ],
    ids=lambda value: str(value),
)
def test_a_declaration_that_says_something_else(city: City, changes: dict[str, Any], code: Any) -> None:
    approve(city, declare(city, **changes))
    assert reasons(city.send(basis_request(city))) == [code]
    assert city.consent.noticed == []


def test_a_declaration_that_its_service_did_not_sign(city: City) -> None:
    declaration = purpose_declaration(id="rent-inspection", legal_basis="legal-obligation")
    compact = sign_declaration(declaration, SoftwareSigner.generate())
    city.consent.declarations.append(compact)
    approve(city, jws.digest(compact))
    assert reasons(city.send(basis_request(city))) == [("not_approved", None)]


def test_an_attribute_beyond_the_data_declaration(city: City) -> None:
    approve(city, declare(city, datatypes=("income.band", "health.record")))
    refused = city.send(basis_request(city, attributes=("income.band", "health.record")))
    assert reasons(refused) == [("attribute_not_granted", "health.record")]


def test_a_consent_is_no_basis_and_a_basis_no_consent(lawful: City, anna: Wallet) -> None:
    """The type says which checks are made; claims of one under the type of the other are refused."""
    grant_id = lawful.grant(anna)
    use = jws.parse(lawful.use_request(grant_id)).claims()
    law = jws.parse(basis_request(lawful)).claims()
    signer = lawful.keys[SERVICE]
    for claims, typ in ((use, "basis-request+jwt"), (law, "use-request+jwt"), (law, "other+jwt")):
        forged = jws.sign(claims, signer, typ=typ, header={"kid": signer.public_key.thumbprint})
        assert lawful.send(forged).status_code == 400
    assert lawful.consent.asked == [] and lawful.consent.noticed == []


# What the consent service answers.


@pytest.mark.parametrize("code", ["opposition", "not_approved", "replayed"])
def test_a_deny(lawful: City, anna: Wallet, code: str) -> None:
    lawful.consent.lies.denies_notices = code
    assert reasons(lawful.send(basis_request(lawful))) == [(code, None)]
    assert lawful.journal(anna)["releases"] == []


def _changed(**changes: Any) -> Any:
    return lambda allow: replace(allow, **changes)


@pytest.mark.parametrize(
    "lie",
    [
        _changed(basis_request_hash=base64url.encode(bytes(32))), _changed(notice_id=base64url.encode(bytes(16))),
        _changed(salt=base64url.encode(bytes(32))), _changed(consent=OTHER_SERVICE), _changed(holder=CONSENT),
        _changed(release_before=NOW + 60), _changed(issued=NOW + 10, release_before=NOW + 12), _changed(proof="x"),
        _changed(event={}),
    ],
    ids=["request", "id", "salt", "consent", "holder", "too long", "future", "proof", "event"],
)  # fmt: skip
def test_an_answer_that_proves_nothing(lawful: City, anna: Wallet, lie: Any) -> None:
    lawful.consent.lies.notice = lie
    assert_unproven(lawful, anna)


def assert_unproven(city: City, anna: Wallet) -> None:
    for urgent in (False, True):
        answer = city.send(basis_request(city, urgent=urgent))
        assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven"), answer.text
    assert city.journal(anna)["releases"] == [] and released(city) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "use"}, {"service": OTHER_SERVICE}, {"purpose": "https://w3id.org/dpv#Marketing"},
        {"declaration": "rent-inspection@2"}, {"attributes": ["household.size"]},
        {"hash": base64url.encode(bytes(32))}, {"time": "2026-11-20T00:00:00.000Z"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_an_event_that_says_another_access(lawful: City, anna: Wallet, changes: dict[str, Any]) -> None:
    lawful.consent.lies.event = lambda event: event | changes
    assert_unproven(lawful, anna)


@pytest.mark.parametrize(
    "changes", [{"kind": Kind.USE}, {"counter": 1}, {"id": bytes(16)}, {"service": 9}, {"purpose": 9}], ids=str
)
def test_a_leaf_that_says_another_access(lawful: City, anna: Wallet, changes: dict[str, Any]) -> None:
    lawful.consent.lies.leaf = lambda leaf: replace(leaf, **changes)
    assert_unproven(lawful, anna)


def test_group_codes_are_not_compared(lawful: City, anna: Wallet) -> None:
    def grouped(leaf: Leaf) -> Leaf:
        return replace(leaf, flags=GROUPED, service=900, purpose=901)

    lawful.consent.lies.leaf = grouped
    assert lawful.send(basis_request(lawful)).status_code == 200


def test_another_log(lawful: City, anna: Wallet) -> None:
    folder = lawful.folder / "other"
    lawful.consent.lies.log = LogWriter(folder, "localhost:8101/log/2026", Ed25519Signer(bytes([9] * 32)))
    assert_unproven(lawful, anna)


def test_one_notice_proves_one_access(lawful: City, anna: Wallet) -> None:
    kept: list[NoticeAllow] = []
    lawful.consent.lies.notice = lambda allow: kept.append(allow) or allow  # type: ignore[func-returns-value]
    assert lawful.send(basis_request(lawful)).status_code == 200
    lawful.consent.lies.notice = lambda allow: replace(allow, notice_id=kept[0].notice_id, proof=kept[0].proof)
    answer = lawful.send(basis_request(lawful))
    assert answer.status_code == 503 and released(lawful) == 1


def test_sensitive_without_witnesses(city: City) -> None:
    approve(city, declare(city, sensitive=True))
    answer = city.send(basis_request(city, urgent=True))
    assert (answer.status_code, answer.json()["error"]) == (503, "allow_not_proven")


# What bad requests get.


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"signer": SoftwareSigner.generate()}, "bad_signature"),
        ({"service": HOLDER}, "bad_signature"),
        ({"holder": CONSENT}, "invalid_request"),
        ({"expires": NOW + 61}, "invalid_request"),
        ({"issued": NOW - 70, "expires": NOW - 10}, "stale_request"),
        ({"issued": NOW + 3, "expires": NOW + 60}, "stale_request"),
        ({"subject": "x"}, "invalid_request"),
        ({"visible_from": NOW + 400 * 86_400}, "invalid_request"),
    ],
    ids=["key", "party", "audience", "too long", "late", "early", "subject", "hidden for ever"],
)
def test_refused_before_anybody_is_asked(lawful: City, changes: dict[str, Any], error: str) -> None:
    answer = lawful.send(basis_request(lawful, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert lawful.consent.noticed == [] and released(lawful) == 0


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503])
def test_faults_of_the_consent_service(lawful: City, status: int) -> None:
    lawful.consent.lies.notice_status = status
    answer = lawful.send(basis_request(lawful))
    assert answer.status_code == 503 and released(lawful) == 0


# The urgent spool.


def spooled(city: City) -> list[tuple[int, str]]:
    with city.services.links._engine.connect() as connection:
        rows = connection.execute(text("SELECT sequence, state FROM spooled_notice ORDER BY sequence"))
        return [(row.sequence, row.state) for row in rows]


def test_urgent_while_nobody_answers(lawful: City, anna: Wallet) -> None:
    lawful.send(basis_request(lawful))
    lawful.consent.lies.down = True
    reply = AgreementPrivateKey.generate()
    compact = basis_request(lawful, urgent=True, reply=reply)
    answer = lawful.send(compact)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"use_id", "grant_id", "counter", "sealed", "spooled"}
    assert body["use_id"] == body["grant_id"] == jws.parse(compact).claims()["jti"]
    assert opened(lawful, compact, reply, body) == {"income.band": INCOME}
    statement = verify_spooled(body["spooled"], key_of=lawful.key_of, consent=CONSENT, holder=HOLDER)
    assert (statement.basis_request_hash, statement.sequence, statement.time) == (jws.digest(compact), 1, NOW)
    assert lawful.send(compact).text == answer.text and spooled(lawful) == [(1, "waiting")]
    assert len(lawful.journal(anna)["releases"]) == 1, "it is shown once its notice is logged"


def test_late_ones_are_delivered_in_order(lawful: City, anna: Wallet) -> None:
    lawful.send(basis_request(lawful, BERTA))
    lawful.consent.lies.down = True
    sent = []
    for _ in range(3):
        lawful.clock.now += 60
        sent.append(basis_request(lawful, urgent=True))
        assert lawful.send(sent[-1]).status_code == 200
    with pytest.raises(Exception, match="503"):
        lawful.sending.notices()
    assert spooled(lawful) == [(1, "waiting"), (2, "waiting"), (3, "waiting")]
    lawful.clock.now += 3_600
    lawful.consent.lies.down = False
    lawful.consent.noticed.clear()
    assert lawful.sending.notices() == 3 and lawful.sending.notices() == 0
    assert [one["basis_request"] for one in lawful.consent.noticed] == sent
    assert all("spooled" in one for one in lawful.consent.noticed)
    assert spooled(lawful) == [(1, "delivered"), (2, "delivered"), (3, "delivered")]
    lawful.clock.now += 1
    shown = lawful.journal(anna)["releases"]
    assert [one["time"] for one in shown] == [NOW + 60, NOW + 120, NOW + 180]
    assert not {one["grant_id"] for one in shown} & {jws.parse(one).claims()["jti"] for one in sent}
    assert len(lawful.records.of_day(int(lawful.clock()) // 86_400)) == 4, "each in the day of its leaf"


@pytest.mark.parametrize("changes", [{"request": False}, {"basis": False}, {"request": False, "basis": False}], ids=str)
def test_only_where_both_say_urgent(city: City, changes: dict[str, bool]) -> None:
    approve(city, declare(city), urgent=changes.get("basis", True))
    city.send(basis_request(city))
    city.consent.lies.down = True
    answer = city.send(basis_request(city, urgent=changes.get("request", True)))
    assert (answer.status_code, answer.json()["error"]) == (503, "consent_unavailable")
    assert spooled(city) == []


def test_never_for_a_consent(lawful: City, anna: Wallet) -> None:
    lawful.send(basis_request(lawful))
    grant_id = lawful.grant(anna)
    assert lawful.read(grant_id).status_code == 200
    before = released(lawful)
    lawful.consent.lies.down = True
    for compact in (lawful.use_request(grant_id), lawful.use_request(grant_id, purpose=PURPOSE)):
        answer = lawful.send(compact)
        assert (answer.status_code, answer.json()["error"]) == (503, "consent_unavailable")
    assert spooled(lawful) == [] and released(lawful) == before


@pytest.mark.parametrize("status", [401, 404, 429])
def test_an_answer_that_refuses_is_no_silence(lawful: City, status: int) -> None:
    lawful.consent.lies.notice_status = status
    answer = lawful.send(basis_request(lawful, urgent=True))
    assert answer.status_code == 503 and spooled(lawful) == [] and released(lawful) == 0


def test_a_deny_stops_what_is_urgent(lawful: City) -> None:
    lawful.consent.lies.denies_notices = "opposition"
    assert reasons(lawful.send(basis_request(lawful, urgent=True))) == [("opposition", None)]
    assert spooled(lawful) == []


def test_the_spool_is_bounded(lawful: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_journal, "MAX_WAITING", 2)
    lawful.send(basis_request(lawful))
    lawful.consent.lies.down = True
    statuses = [lawful.send(basis_request(lawful, urgent=True)) for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [200, 200, 503]
    assert statuses[2].json()["error"] == "spool_full" and released(lawful) == 3


def test_what_is_never_logged_shows_in_the_journal(lawful: City, anna: Wallet) -> None:
    lawful.send(basis_request(lawful, BERTA))
    lawful.consent.lies.down = True
    compact = basis_request(lawful, urgent=True)
    lawful.send(compact)
    lawful.consent.lies.down, lawful.consent.lies.denies_notices = False, "not_approved"
    assert lawful.sending.notices() == 1
    assert spooled(lawful) == [(1, "refused")]
    lawful.clock.now += 1
    assert [one["grant_id"] for one in lawful.journal(anna)["releases"]] == [jws.parse(compact).claims()["jti"]]


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_a_passing_fault_keeps_it_waiting(lawful: City, status: int) -> None:
    lawful.send(basis_request(lawful))
    lawful.consent.lies.down = True
    lawful.send(basis_request(lawful, urgent=True))
    lawful.consent.lies.down, lawful.consent.lies.notice_status = False, status
    with pytest.raises(Exception, match=str(status)):
        lawful.sending.notices()
    assert spooled(lawful) == [(1, "waiting")]


def test_nobody_of_that_number_is_spooled_too(lawful: City) -> None:
    lawful.send(basis_request(lawful))
    lawful.consent.lies.down = True
    assert reasons(lawful.send(basis_request(lawful, "00000000T", urgent=True))) == [("subject_mismatch", None)]
    assert spooled(lawful) == [(1, "waiting")], "that it was asked will be logged"


def test_one_id_is_urgent_once(lawful: City) -> None:
    lawful.send(basis_request(lawful))
    lawful.consent.lies.down = True
    name = base64url.encode(secrets.token_bytes(16))
    assert lawful.send(basis_request(lawful, urgent=True, id=name)).status_code == 200
    assert reasons(lawful.send(basis_request(lawful, urgent=True, id=name))) == [("replayed", None)]
    assert spooled(lawful) == [(1, "waiting")]


def test_a_late_notice_says_when_it_was(lawful: City) -> None:
    """Its event is of the release, or of just now; of any other time it proves nothing."""
    lawful.send(basis_request(lawful))
    lawful.consent.lies.down = True
    lawful.send(basis_request(lawful, urgent=True))
    lawful.consent.lies.down = False
    lawful.clock.now += 3_600
    lawful.consent.lies.event = lambda event: event | {"time": "2026-11-20T00:00:00.000Z"}
    assert lawful.sending.notices() == 1
    assert spooled(lawful) == [(1, "refused")]


@pytest.mark.parametrize("witnesses", [True, False])
def test_sensitive_waits_for_its_quorum(tmp_path: Path, witnesses: bool) -> None:
    city = City(tmp_path, witnesses=witnesses)
    city.services = city.holder_services(quorum=city.quorum)
    city.hosts[HOLDER_URL] = holder_app(city.services)
    approve(city, declare(city, sensitive=True))
    answer = city.send(basis_request(city))
    assert answer.status_code == (200 if witnesses else 503), answer.text


def test_an_answer_to_a_late_notice_that_was_lost(lawful: City, anna: Wallet) -> None:
    """At once it is asked for again; later the consent service says that it has it, and that is no refusal."""
    lawful.send(basis_request(lawful, BERTA))
    lawful.consent.lies.down = True
    for _ in range(2):
        lawful.send(basis_request(lawful, urgent=True))
    lawful.consent.lies.down = False
    notice, lost = lawful.sending._consent.notice, [PeerUnavailable("the line broke")]

    def breaks(*asked: Any, **named: Any) -> Any:
        answer = notice(*asked, **named)
        if lost:
            raise lost.pop()
        return answer

    lawful.sending._consent.notice = breaks  # type: ignore[method-assign]
    lawful.consent.noticed.clear()
    lawful.consent.lies.denies_notices = "replayed"
    assert lawful.sending.notices() == 2 and len(lawful.consent.noticed) == 3
    assert spooled(lawful) == [(1, "delivered"), (2, "delivered")]
    lawful.clock.now += 1
    assert lawful.journal(anna)["releases"] == [], "no entry under an id that no log has"


def test_a_status_that_says_another_decision(lawful: City, anna: Wallet) -> None:
    lawful.consent.lies.status = lambda _: 403
    assert_unproven(lawful, anna)
