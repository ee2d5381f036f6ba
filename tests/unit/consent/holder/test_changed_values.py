"""A value that changes under a grant: follow, freeze, ask (ADR 0009, D15), and the notices of it (D16)."""

import sqlite3
from typing import Any

import pytest

from consent.grant.detail import Term
from consent.holder.first_value import SCOPE
from identity.errors import KeyUnavailable
from identity.keys.keyed_hash import InProcessKeyedHash
from tests.holder_city import BERTA, NOW, City, Wallet
from tests.unit.consent.holder.test_release import read, reasons


def earn(city: City, amount: int) -> None:
    with sqlite3.connect(city.folder / "register.sqlite") as connection:
        connection.execute("UPDATE income SET amount_eur = ? WHERE row_id = 1 AND year = 2025", (amount,))
    connection.close()


def answer(city: City, wallet: Wallet, grant_id: str, **changes: Any) -> Any:
    return city.proven(wallet, "POST", "/changes", {"grant_id": grant_id, "answer": "follow", **changes})


def notices(city: City, wallet: Wallet) -> list[dict[str, Any]]:
    found = city.proven(wallet, "GET", "/notices")
    assert found.status_code == 200
    value = found.json()
    assert value.keys() == {"notices"}
    return list(value["notices"])


def test_follow_releases_the_value_of_the_day(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="follow")
    assert read(city, grant_id) == {"income.band": "3"}
    earn(city, 50_000)
    assert read(city, grant_id) == {"income.band": "6"}
    with city.services.links._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM first_value").scalar() == 0


def test_freeze_releases_nothing_while_it_differs(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="freeze")
    assert read(city, grant_id) == {"income.band": "3"}
    earn(city, 16_000)
    assert read(city, grant_id) == {"income.band": "3"}, "the same band: what was granted has not changed"
    earn(city, 50_000)
    compact = city.use_request(grant_id)
    for _ in range(2):
        refused = reasons(city.send(compact))
        assert refused in ([("value_changed", "income.band")], [("value_changed", None)])
    assert answer(city, anna, grant_id).json() == {"error": "not_asked"}, "freeze asks nobody"
    earn(city, 17_000)
    assert read(city, grant_id) == {"income.band": "3"}
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [
        ["income.band"], ["income.band"], [], ["income.band"],
    ]  # fmt: skip


def test_ask_waits_for_the_resident(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="ask", max_uses=4)
    assert read(city, grant_id) == {"income.band": "3"}
    early = answer(city, anna, grant_id)
    assert (early.status_code, early.json()) == (409, {"error": "not_asked"})
    earn(city, 50_000)
    city.clock.now += 5
    for _ in range(2):
        assert reasons(city.read(grant_id)) == [("value_changed", "income.band")]
    told = {"kind": "value_changed", "time": NOW + 5, "grant_id": grant_id}
    assert notices(city, anna) == [told], "once a change"
    taken = answer(city, anna, grant_id)
    assert (taken.status_code, taken.json()) == (200, {"grant_id": grant_id, "answer": "follow"})
    assert notices(city, anna) == []
    assert read(city, grant_id) == {"income.band": "6"}
    assert reasons(city.read(grant_id)) == [("max_uses", None)], "uses that released nothing count"


def test_it_is_asked_again_at_the_next_change(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="ask")
    read(city, grant_id)
    for amount, band in ((50_000, "6"), (1_000, "1")):
        earn(city, amount)
        assert reasons(city.read(grant_id)) == [("value_changed", "income.band")]
        assert answer(city, anna, grant_id).status_code == 200
        assert read(city, grant_id) == {"income.band": band}


def test_one_changed_attribute_releases_none(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="freeze")
    both = {"attributes": ("income.band", "household.size")}
    assert read(city, grant_id, **both) == {"income.band": "3", "household.size": 3}
    earn(city, 50_000)
    assert reasons(city.read(grant_id, **both)) == [("value_changed", "income.band")]
    assert read(city, grant_id, attributes=("household.size",)) == {"household.size": 3}


def test_a_refused_use_keeps_no_first_value(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="freeze")
    assert reasons(city.read(grant_id, subject={"personal_administrative_number": BERTA})) == [
        ("subject_mismatch", None)
    ]
    earn(city, 50_000)
    assert read(city, grant_id) == {"income.band": "6"}, "this is the first release"


def test_only_the_rows_own_wallets_answer(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="ask")
    read(city, grant_id)
    earn(city, 50_000)
    city.read(grant_id)
    berta, second = city.resident(BERTA), city.resident()
    refused = answer(city, berta, grant_id)
    assert (refused.status_code, refused.json()) == (404, {"error": "unknown_grant"})
    assert answer(city, berta, "AAAAAAAAAAAAAAAAAAAAAA").json() == refused.json()
    assert notices(city, berta) == []
    assert [one["kind"] for one in notices(city, anna)] == ["value_changed", "link"]
    assert answer(city, second, grant_id).status_code == 200, "another wallet of the same resident"


@pytest.mark.parametrize(
    "body", [{"answer": "freeze"}, {"answer": None}, {"grant_id": "x"}, {"more": 1}], ids=lambda body: str(body)
)
def test_bodies(city: City, anna: Wallet, body: dict[str, Any]) -> None:
    refused = answer(city, anna, **{"grant_id": "AAAAAAAAAAAAAAAAAAAAAA", **body})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_unproven_callers(city: City, anna: Wallet) -> None:
    for method, path in (("GET", "/notices"), ("POST", "/changes")):
        headers = {"Content-Type": "application/json"} if method == "POST" else {}
        assert city.call(method, path, content=b"{}", headers=headers).status_code == 401
    assert city.call("POST", "/changes", content=b"{}").status_code == 415
    big = city.call("POST", "/changes", content=b"x" * 1_025, headers={"Content-Type": "application/json"})
    assert big.status_code == 413


def test_the_hash_says_nothing_without_its_key(city: City, anna: Wallet) -> None:
    grants = [city.grant(anna, on_change="freeze") for _ in range(2)]
    for grant_id in grants:
        read(city, grant_id)
    with city.services.links._engine.connect() as connection:
        hashes = connection.exec_driver_sql("SELECT hash FROM first_value").scalars().all()
    assert len(set(hashes)) == 2, "one value under two grants is two hashes"
    city.services.enforcement._keyed_hash = InProcessKeyedHash({SCOPE: bytes(32)})
    assert reasons(city.read(grants[0])) == [("value_changed", "income.band")], "another key, another hash"


def test_without_the_hash_process_nothing_is_released(city: City, anna: Wallet) -> None:
    grant_id, follows = city.grant(anna, on_change="freeze"), city.grant(anna)

    class Silent:
        def hashes(self, scope: str, messages: Any) -> list[bytes]:
            raise KeyUnavailable("keyed hash: its process does not answer")

    city.services.enforcement._keyed_hash = Silent()
    refused = city.read(grant_id)
    assert (refused.status_code, refused.json()["error"]) == (503, "keyed_hash_unavailable")
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [[]], "counted, and nothing left"
    assert city.read(follows).status_code == 200


def test_a_withdrawal_forgets_the_hash(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, on_change="ask")
    read(city, grant_id)
    city.withdraw(anna, grant_id)
    with city.services.links._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM first_value").scalar() == 0


def test_another_resolution_has_a_first_value_of_its_own(city: City, anna: Wallet) -> None:
    grant_id = city.grant(
        anna, on_change="freeze", datatypes=("income.band",), terms={"income.band": Term("raw", False)}
    )
    assert read(city, grant_id) == {"income.band": 17_432}
    earn(city, 17_433)
    assert reasons(city.read(grant_id)) == [("value_changed", "income.band")]
