"""Revocation of all copies, the daily tick, the lists as they are served, and the order of their places."""

from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text

from identity.codec import base64url
from identity.errors import EncodingError
from identity.issuer.revocation import AT_ONCE, WITH_THE_DAY
from identity.issuer.status_places import place
from identity.keys.public_key import PublicKey
from identity.status.token import VerifiedStatusList, verify_status_list
from tests.issuer_city import ISSUER, NOW, City, Wallet

RESIDENCY = "residency-sd-jwt"
DAY = 86_400


def served(city: City, number: int = 1) -> VerifiedStatusList:
    uri = f"{ISSUER}/status/{number}"
    answer = city.client.get(uri)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/statuslist+jwt"

    def key_for(header: object, address: str) -> PublicKey:
        assert address == uri
        return city.status_key.public_key

    return verify_status_list(answer.text, uri=uri, key_for=key_for, now=int(city.now[0]))


def places(city: City, count: int = 3, row: str = "1") -> list[int]:
    found = [copy.status for copy in city.issued(RESIDENCY, count, row)]
    assert {status[0] for status in found if status} == {f"{ISSUER}/status/1"}
    return [status[1] for status in found if status]


def values(city: City, indexes: list[int]) -> list[int]:
    statuses = served(city)
    return [statuses.get(index) for index in indexes]


def test_revocation_takes_all_copies_refills_too(city: City) -> None:
    wallet = Wallet(city)
    tokens = wallet.exchange(wallet.code(scope=RESIDENCY)).json()

    def batch(token: str) -> list[int]:
        from identity.formats.sd_jwt_vc.parse import peek

        copies = [peek(one["credential"]) for one in city.batch(token, RESIDENCY).json()["credentials"]]
        return [copy.status[1] for copy in copies if copy.status]

    first = batch(tokens["access_token"])
    city.now[0] += 2 * DAY
    refreshed = wallet.refresh(tokens["refresh_token"]).json()
    second = batch(refreshed["access_token"])
    others = places(city, row="2")
    assert values(city, first + second + others) == [0] * 9
    (revoked,) = city.hall.revocation.by_status(f"{ISSUER}/status/1", second[0], "loss")
    assert revoked.copies == 6
    assert values(city, first + second) == [1] * 6 and values(city, others) == [0] * 3
    again = city.hall.revocation.by_id(revoked.credential_id, "loss")
    assert again == [revoked]
    refused = city.batch(refreshed["access_token"], RESIDENCY)
    assert refused.status_code == 400 and refused.json()["error"] == "credential_request_denied"
    more = city.batch(wallet.refresh(refreshed["refresh_token"]).json()["access_token"], RESIDENCY)
    assert more.json()["error"] == "credential_request_denied", "no refill of what is revoked"


@pytest.mark.parametrize("reason", sorted(AT_ONCE))
def test_some_reasons_show_at_once(city: City, reason: str) -> None:
    indexes = places(city)
    city.hall.revocation.by_status(f"{ISSUER}/status/1", indexes[0], reason)
    assert values(city, indexes) == [1, 1, 1]


@pytest.mark.parametrize("reason", sorted(WITH_THE_DAY))
def test_all_others_wait_for_the_tick_and_show_together(city: City, reason: str) -> None:
    mine, theirs = places(city), places(city, row="2")
    city.hall.revocation.by_status(f"{ISSUER}/status/1", mine[0], reason)
    city.now[0] += 60
    city.hall.revocation.by_status(f"{ISSUER}/status/1", theirs[0], reason)
    assert values(city, mine + theirs) == [0] * 6
    assert city.hall.revocation.tick() == 2
    assert values(city, mine + theirs) == [1] * 6
    assert city.hall.revocation.tick() == 0


def test_loss_overtakes_what_waits(city: City) -> None:
    indexes = places(city)
    city.hall.revocation.by_status(f"{ISSUER}/status/1", indexes[0], "moved")
    city.hall.revocation.by_status(f"{ISSUER}/status/1", indexes[0], "loss")
    assert values(city, indexes) == [1, 1, 1]


def test_upkeep_ticks_once_a_day(city: City) -> None:
    city.hall.upkeep.run()
    indexes = places(city)
    city.hall.revocation.by_status(f"{ISSUER}/status/1", indexes[0], "moved")
    city.hall.upkeep.run()
    assert values(city, indexes) == [0, 0, 0]
    city.now[0] += DAY - NOW % DAY
    city.hall.upkeep.run()
    assert values(city, indexes) == [1, 1, 1]


def test_by_person(city: City) -> None:
    mine, theirs = places(city), places(city, row="2")
    assert city.hall.revocation.by_person("00000001R", "loss", "person-id-sd-jwt") == []
    (revoked,) = city.hall.revocation.by_person("00000001R", "loss")
    assert revoked.copies == 3
    assert values(city, mine) == [1, 1, 1] and values(city, theirs) == [0, 0, 0]


def test_lost_wallet_gets_nothing_more(city: City) -> None:
    wallet = Wallet(city)
    tokens = wallet.exchange(wallet.code()).json()
    assert city.batch(tokens["access_token"], RESIDENCY).status_code == 200
    city.hall.revocation.by_person("00000001R", "moved")
    assert city.batch(tokens["access_token"], "person-id-sd-jwt").status_code == 200, "whoever moved is still somebody"
    city.hall.revocation.by_person("00000001R", "theft")
    assert city.batch(tokens["access_token"], "person-id-sd-jwt").status_code == 401
    assert wallet.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_theft_overtakes_what_waits_for_a_person(city: City) -> None:
    indexes = places(city)
    city.hall.revocation.by_person("00000001R", "moved")
    assert values(city, indexes) == [0, 0, 0]
    city.hall.revocation.by_person("00000001R", "theft")
    assert values(city, indexes) == [1, 1, 1]


def test_types_without_status_are_revoked_too(city: City) -> None:
    token = city.token("person-id-sd-jwt")
    assert city.batch(token, "person-id-sd-jwt").status_code == 200
    (revoked,) = city.hall.revocation.by_person("00000001R", "fraud", "person-id-sd-jwt")
    assert revoked.copies == 0
    assert city.batch(token, "person-id-sd-jwt").json()["error"] == "credential_request_denied"


def test_what_is_not_ours(city: City) -> None:
    indexes = places(city)
    revocation = city.hall.revocation
    for uri in (f"{ISSUER}/status/2", f"{ISSUER}/status/", f"{ISSUER}/status/x", "https://other.example/status/1",
                f"{ISSUER}/status/1/1", f"{ISSUER}/status/-1"):  # fmt: skip
        assert revocation.by_status(uri, indexes[0], "loss") == []
    free = next(index for index in range(1_024) if index not in indexes)
    assert revocation.by_status(f"{ISSUER}/status/1", free, "loss") == []
    assert revocation.by_id(base64url.encode(bytes(16)), "loss") == []
    with pytest.raises(EncodingError):
        revocation.by_id("!", "loss")
    with pytest.raises(ValueError, match="reason"):
        revocation.by_status(f"{ISSUER}/status/1", indexes[0], "whim")
    assert values(city, indexes) == [0, 0, 0]


def test_list_is_signed_when_due_and_not_before(city: City) -> None:
    first = city.client.get("/bcn/status/1").text
    city.now[0] += 60
    assert city.client.get("/bcn/status/1").text == first
    city.now[0] += DAY // 2
    renewed = city.client.get("/bcn/status/1").text
    assert renewed != first
    indexes = places(city)
    assert city.client.get("/bcn/status/1").text == renewed, "giving out places changes nothing in the list"
    city.hall.revocation.by_status(f"{ISSUER}/status/1", indexes[0], "theft")
    assert city.client.get("/bcn/status/1").text != renewed
    found = served(city)
    assert found.ttl == 60 and found.exp is not None and found.exp - found.iat == DAY


def test_expired_copies_are_forgotten_and_bits_stay(city: City) -> None:
    indexes = places(city)
    city.hall.revocation.by_status(f"{ISSUER}/status/1", indexes[0], "loss")
    others = places(city, row="2")
    city.now[0] += 8 * DAY
    city.hall.upkeep.run()
    assert values(city, indexes) == [1, 1, 1], "a revocation is never taken back"
    assert city.hall.revocation.by_status(f"{ISSUER}/status/1", others[0], "loss") == []
    with city.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM copy")).scalar_one() == 0
    city.now[0] += 90 * DAY
    city.hall.upkeep.run()
    with city.engine.begin() as connection:
        for table in ("issuance", "credential", "refresh_token", "access_token", "spent", "notification",
                      "pre_authorized"):  # fmt: skip
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def test_next_list_is_served_before_it_is_needed(city: City) -> None:
    def lists() -> list[str]:
        return list(city.client.get("/bcn/status/").json()["status_lists"])

    assert lists() == [f"{ISSUER}/status/1"]
    with city.engine.begin() as connection:
        connection.execute(text("UPDATE status_list SET given_out = 510"))
    seen = set(places(city))
    assert lists() == [f"{ISSUER}/status/1", f"{ISSUER}/status/2"], "half full"
    assert served(city, 2).get(0) == 0
    with city.engine.begin() as connection:
        connection.execute(text("UPDATE status_list SET given_out = 1022 WHERE number = 1"))
    found = [copy.status for copy in city.issued(RESIDENCY, 3)]
    assert {status[0] for status in found if status} == {f"{ISSUER}/status/2"}, "three do not fit into two places"
    assert len(seen) == 3


@pytest.mark.parametrize("size", [1, 2, 3, 64, 1_000, 1_024])
def test_places_are_a_permutation(size: int) -> None:
    assert sorted(place(bytes(32), size, number) for number in range(size)) == list(range(size))


def test_places_do_not_look_ordered() -> None:
    size = 4_096
    order = [place(bytes(range(32)), size, number) for number in range(size)]
    assert order != [place(bytes(32), size, number) for number in range(size)]
    steps = [abs(after - before) for before, after in pairwise(order)]
    near = sum(step <= 8 for step in steps)
    assert near < 3 * size * 16 / size, "neighbours in time are neighbours in the list no more than by chance"
    with pytest.raises(ValueError, match="no such number"):
        place(bytes(32), size, size)


def test_batch_places_are_spread(city: City) -> None:
    indexes = places(city, 10)
    assert len(set(indexes)) == 10
    assert max(indexes) - min(indexes) > 300 and sorted(indexes) != indexes


def test_batch_of_more_than_ten_is_refused(city: City) -> None:
    answer: Any = city.batch(city.token(RESIDENCY), RESIDENCY, 11)
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_credential_request"
