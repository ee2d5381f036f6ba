"""Pauses and amendments at the data holder's own door (ADR 0009, D17): they hold whatever an allow says."""

from dataclasses import replace
from typing import Any

import pytest

from consent.grant.act import Amend, Pause, Resume
from consent.grant.detail import Frequency, Term
from consent.holder.acts_route import MAX_ACT_BYTES
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.holder_city import OTHER_SERVICE, City, Wallet
from tests.unit.consent.holder.test_release import read, reasons

PAUSE, RESUME = Pause(), Resume()


def known(city: City, wallet: Wallet, **changes: Any) -> str:
    """A grant that released once: the door knows it."""
    grant_id = city.grant(wallet, **changes)
    assert city.read(grant_id).status_code == 200
    return grant_id


def amended(city: City, **changes: Any) -> Amend:
    return Amend(city.detail(**changes))


def test_a_pause_that_the_consent_service_kept_to_itself(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    answer = city.act(anna, grant_id, 1, PAUSE)
    assert (answer.status_code, answer.json()) == (200, {"state": "paused", "act": 1})
    asked = len(city.consent.asked)
    assert reasons(city.read(grant_id)) == [("paused", None)]
    assert len(city.consent.asked) == asked, "nobody is asked"
    assert city.act(anna, grant_id, 2, RESUME).json() == {"state": "given", "act": 2}
    assert city.read(grant_id).status_code == 200


def test_a_stored_answer_does_not_outlive_a_pause(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    compact = city.use_request(grant_id)
    assert city.send(compact).status_code == 200
    city.act(anna, grant_id, 1, PAUSE)
    assert reasons(city.send(compact)) == [("paused", None)]


def test_the_highest_number_holds_in_any_order(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    assert city.act(anna, grant_id, 3, PAUSE).json() == {"state": "paused", "act": 3}
    assert city.act(anna, grant_id, 2, RESUME).json() == {"state": "paused", "act": 3}
    assert city.act(anna, grant_id, 3, RESUME).json() == {"state": "paused", "act": 3}, "of two under one number"
    assert reasons(city.read(grant_id)) == [("paused", None)]
    assert city.act(anna, grant_id, 4, RESUME).json() == {"state": "given", "act": 4}


def test_a_note_holds_when_the_grant_comes(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    answer = city.act(anna, grant_id, 1, PAUSE)
    assert (answer.status_code, answer.json()) == (202, {"state": "noted"})
    city.clock.now += 30 * 86_400
    assert reasons(city.read(grant_id)) == [("paused", None)]
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [[]], "it was counted, and nothing left"
    city.clock.now += 400 * 86_400
    other = base64url.encode(bytes(16))
    city.act(anna, other, 1, PAUSE)
    assert city.act(anna, grant_id, 1, PAUSE).json()["state"] == "paused", "kept as long as the grant"


def test_another_key_pauses_nothing(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    answer = city.act(anna, grant_id, 1, PAUSE, signer=SoftwareSigner.generate())
    assert (answer.status_code, answer.json()) == (202, {"state": "noted"}), "as for a grant that is not known"
    assert city.read(grant_id).status_code == 200


def test_another_service_learns_nothing(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    city.act(anna, grant_id, 1, PAUSE)
    assert reasons(city.read(grant_id, service=OTHER_SERVICE)) == [("unknown_grant", None)]


# Amendments.


def test_an_attribute_that_was_dropped(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    only = amended(city, terms={"income.band": Term("binned:eur-6", False)})
    assert city.act(anna, grant_id, 1, only).json() == {"state": "given", "act": 1}
    assert reasons(city.read(grant_id, attributes=("income.band", "household.size"))) == [
        ("attribute_not_granted", "household.size")
    ]
    assert read(city, grant_id) == {"income.band": "3"}


def test_a_resolution_that_was_made_coarser(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna, datatypes=("income.band",), terms={"income.band": Term("raw", False)})
    coarse = amended(city, datatypes=("income.band",), terms={"income.band": Term("binned:eur-6", False)})
    city.act(anna, grant_id, 1, coarse)
    assert reasons(city.read(grant_id)) == [("attribute_not_granted", "income.band")], "the allow gives the finer one"
    given = city.consent.grants[grant_id]
    given.grant = replace(given.grant, detail=coarse.detail)
    assert read(city, grant_id) == {"income.band": "3"}, "the allow says the coarser one"


@pytest.mark.parametrize(
    ("period", "code"), [((0, -1), "expired"), ((60, 120), "not_yet_valid")], ids=["shortened", "begins later"]
)
def test_a_period_that_was_shortened(city: City, anna: Wallet, period: tuple[int, int], code: str) -> None:
    grant_id, now = known(city, anna), int(city.clock())
    city.act(anna, grant_id, 1, amended(city, not_before=now - 600 + period[0] * 60, not_after=now + period[1] * 60))
    assert reasons(city.read(grant_id)) == [(code, None)]


def test_limits_that_were_lowered(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna, max_uses=5)
    city.act(anna, grant_id, 1, amended(city, max_uses=2))
    assert city.read(grant_id).status_code == 200
    assert reasons(city.read(grant_id)) == [("max_uses", None)]
    often = known(city, anna, frequency=Frequency(3, 100))
    city.act(anna, often, 1, amended(city, frequency=Frequency(1, 200)))
    assert reasons(city.read(often)) == [("frequency", None)]


def test_an_amendment_widens_nothing(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna, max_uses=2, frequency=Frequency(9, 100))
    city.act(anna, grant_id, 1, amended(city, max_uses=9, frequency=Frequency(20, 10)))
    assert city.read(grant_id).status_code == 200
    assert reasons(city.read(grant_id)) == [("max_uses", None)]
    narrow = known(city, anna, terms={"income.band": Term("binned:eur-6", False), "household.size": Term("raw", True)})
    wide = amended(city, terms={"income.band": Term("raw", False), "household.size": Term("raw", True)})
    city.act(anna, narrow, 1, wide)
    assert read(city, narrow) == {"income.band": "3"}, "in the resolution of the grant"


def test_two_amendments_under_one_number(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    first = amended(city, max_uses=9)
    for _ in range(2):
        assert city.act(anna, grant_id, 3, first).status_code == 200
    answer = city.act(anna, grant_id, 3, amended(city, max_uses=8))
    assert (answer.status_code, answer.json()) == (409, {"error": "act_number", "act": 3})
    assert city.act(anna, grant_id, 2, amended(city, max_uses=1)).json() == {"state": "given", "act": 3}, "an older one"
    assert [city.read(grant_id).status_code for _ in range(3)] == [200, 200, 200]


# What bad bodies get.


def test_bodies(city: City, anna: Wallet) -> None:
    jwt = {"Content-Type": "application/jwt"}
    assert city.call("POST", "/acts", content="x").status_code == 415
    assert city.call("POST", "/acts", content="x" * (MAX_ACT_BYTES + 1), headers=jwt).status_code == 413
    for body in (b"", b"a.b.c", b"\xff", "ñ".encode(), city.withdrawal(anna, base64url.encode(bytes(16))).encode()):
        answer = city.call("POST", "/acts", content=body, headers=jwt)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), body
    assert city.act(anna, base64url.encode(bytes(16)), 1, PAUSE, consent=OTHER_SERVICE).status_code == 400


def test_notes_are_capped_and_known_grants_are_not(city: City, anna: Wallet) -> None:
    grant_id = known(city, anna)
    statuses = [city.act(anna, base64url.encode(bytes([number] * 16)), 1, PAUSE).status_code for number in range(101)]
    assert statuses == [202] * 100 + [429]
    assert city.act(anna, grant_id, 1, PAUSE).status_code == 200
