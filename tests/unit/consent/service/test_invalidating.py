"""A party whose listing was ended: its grants end with it, by the list's keeper, and stay ended."""

from dataclasses import replace

import pytest

from consent.service import invalidating
from consent.service.invalidating import Invalidating
from tests.consent_city import DAY, HOLDER, OTHER_SERVICE, SERVICE, ConsentCity, Wallet


def delist(city: ConsentCity, party_id: str, *, until: int | None = None) -> None:
    """The list as it is from now on."""
    assert city.registry is not None
    ended = int(city.clock()) if until is None else until
    parties = tuple(
        replace(party, valid_to=ended) if party.id == party_id else party for party in city.registry.parties
    )
    city.registry = replace(city.registry, version=city.registry.version + 1, parties=parties)


def rounds(city: ConsentCity) -> Invalidating:
    found = [step.__self__ for step in city.office.duties.bookkeeping._rounds if hasattr(step, "__self__")]
    return next(one for one in found if isinstance(one, Invalidating))


@pytest.mark.parametrize("party", [SERVICE, HOLDER])
def test_its_grants_end_with_its_listing(wallet: Wallet, party: str) -> None:
    city = wallet.city
    held, paused = wallet.give(), wallet.give()
    wallet.act(paused, 1, "pause")
    gone = wallet.give()
    wallet.withdraw(gone)
    before = city.registry
    delist(city, party)
    assert rounds(city).round() == 2
    states = {one["grant_id"]: one["state"] for one in wallet.call("GET", "/me/grants").json()["grants"]}
    assert states == {held.id: "invalidated", paused.id: "invalidated", gone.id: "withdrawn"}
    # What has ended does not come back with the listing.
    city.registry = before
    request = city.use_request(held.id)
    assert city.reasons(city.use(request), request) == ["invalidated"]
    assert wallet.act(held, 1, "pause").json()["error"] == "invalidated"
    assert wallet.withdraw(held).json()["state"] == "invalidated", "the first ending counts"


def test_the_event_says_by_whom(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    opening = wallet.opening(held)
    delist(city, SERVICE)
    rounds(city).round()
    items = wallet.call("GET", "/me/timeline").json()["items"]
    event = wallet.open(next(item for item in items if item["kind"] == "revoke"), opening).event
    assert event["by"] == city.registry.issuer  # type: ignore[union-attr]


def test_others_and_what_is_only_missing_stay(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    delist(city, OTHER_SERVICE)
    assert rounds(city).round() == 0
    delist(city, SERVICE, until=int(city.clock()) + DAY)
    assert rounds(city).round() == 0
    assert city.registry is not None
    kept = city.registry
    city.registry = replace(kept, parties=tuple(one for one in kept.parties if one.id != SERVICE))
    assert rounds(city).round() == 0, "not there is not ended"
    city.registry = None
    city.office.duties.bookkeeping.round()
    city.registry = kept
    assert city.use(city.use_request(held.id)).status_code == 200


def test_it_looks_at_all_and_then_at_none(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invalidating, "SCANNED_AT_ONCE", 2)
    city = wallet.city
    for _ in range(5):
        wallet.give()
    delist(city, SERVICE)
    step = rounds(city)
    assert sum(step.round() for _ in range(6)) == 5
    for _ in range(4):
        assert step.round() == 0
    monkeypatch.setattr(step, "_store", None)
    assert step.round() == 0, "there is nothing left to look for"
