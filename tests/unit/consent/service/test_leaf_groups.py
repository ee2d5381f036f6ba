"""Rare pairs of service and purpose hide behind their group's code, to the day; the commitment says the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.ledger.groups import Group
from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind, Leaf
from consent.ledger.numbers import parse_numbers
from consent.service.leaf_groups import LeafGroups
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.consent_city import DAY, NOW, OTHER_SERVICE, PURPOSE, SERVICE, Clock, ConsentCity, Held, Wallet

GROUP = Group(7, (SERVICE, OTHER_SERVICE), (PURPOSE,))
HIDDEN = DAY_ONLY | GROUPED


@pytest.fixture
def city(tmp_path: Path) -> Iterator[ConsentCity]:
    city = ConsentCity(tmp_path, groups=[GROUP])
    city.declare_all()
    yield city
    city.close()


def leaves(city: ConsentCity) -> list[Leaf]:
    log = city.office.sequencer.writer
    return [Leaf.from_bytes(log.entry(index)) for index in range(log.size)]


def of(city: ConsentCity, held: Held) -> list[Leaf]:
    return [leaf for leaf in leaves(city) if leaf.id == base64url.decode(held.id)]


def settle(city: ConsentCity, size: int) -> None:
    assert city.office.sequencer.wait_for_size(size - 1, seconds=10)


def test_a_rare_pair_hides_and_every_later_leaf_repeats_it(city: ConsentCity) -> None:
    wallet = Wallet(city).enrolled()
    held = wallet.give()
    use = city.use_request(held.id)
    proven = city.prove(city.use(use), use, wallet)
    wallet.act(held, 1, "pause")
    wallet.withdraw(held)
    mine = of(city, held)
    assert [leaf.kind for leaf in mine] == [Kind.GRANT, Kind.USE, Kind.PAUSE, Kind.WITHDRAW]
    assert {(leaf.service, leaf.purpose, leaf.flags) for leaf in mine} == {(7, 7, HIDDEN)}
    assert {leaf.minute for leaf in mine} == {NOW // DAY * 1_440}
    # The commitment, which the data holder has opened, names them.
    assert proven is not None


def test_requests_and_refusals_bear_the_code_under_fresh_ids(city: ConsentCity) -> None:
    wallet = Wallet(city).enrolled()
    request = city.ask()
    compact = wallet.sign_grant(request, SoftwareSigner.generate(), decision="refused")
    assert wallet.call("POST", "/me/grants", {"grant": compact}).json() == {"state": "refused"}
    settle(city, 5)
    asked = [leaf for leaf in leaves(city) if leaf.kind in (Kind.REQUEST, Kind.REFUSE)]
    assert [(leaf.service, leaf.purpose, leaf.flags) for leaf in asked] == [(7, 7, HIDDEN)] * 2
    assert len({leaf.id for leaf in asked}) == 2


def test_from_the_eleventh_grant_in_thirty_days_on_a_pair_bears_its_own_numbers(city: ConsentCity) -> None:
    wallet = Wallet(city).enrolled()
    held = []
    for _ in range(11):
        held.append(wallet.give())
        assert city.office.sequencer.wait(base64url.decode(held[-1].id), 1, seconds=10) is not None
        city.clock.now += 1  # type: ignore[attr-defined]
    assert [of(city, one)[0].flags for one in held] == [HIDDEN] * 10 + [0]
    exact = of(city, held[-1])[0]
    assert exact.service == city.office.catalogue.parties()[SERVICE]
    # A grant keeps what its first leaf bears, and after thirty days the pair is rare again.
    wallet.withdraw(held[0])
    assert {leaf.flags for leaf in of(city, held[0])} == {HIDDEN}
    city.clock.now += 31 * DAY  # type: ignore[attr-defined]
    city.registry = city.keys.listed(city.clock())
    assert of(city, given(city, Wallet(city, "another").enrolled()))[0].flags == HIDDEN


def given(city: ConsentCity, wallet: Wallet) -> Held:
    held = wallet.give()
    assert city.office.sequencer.wait(base64url.decode(held.id), 1, seconds=10) is not None
    return held


def test_the_groups_are_published_and_each_change_is_a_leaf(city: ConsentCity, tmp_path: Path) -> None:
    settle(city, 3)
    declared = [leaf for leaf in leaves(city) if leaf.kind is Kind.DECLARE]
    assert len(declared) == 3
    served = city.get("/services")
    numbers = parse_numbers(served.content)
    assert set(numbers.groups) == {7}
    (group,) = served.json()["groups"]
    service = {one["id"]: one["number"] for one in served.json()["services"]}
    assert group == {"number": 7, "services": sorted((service[SERVICE], service[OTHER_SERVICE])), "purposes": [1]}
    city.office.stop()
    city.engine.dispose()
    again = ConsentCity(tmp_path, keys=city.keys, groups=[GROUP])
    assert len([leaf for leaf in leaves(again) if leaf.kind is Kind.DECLARE]) == 3, "nothing has changed"
    again.close()
    changed = ConsentCity(
        tmp_path, keys=city.keys, groups=[Group(7, (SERVICE,), (PURPOSE, "https://w3id.org/dpv#Other"))]
    )
    settle(changed, 4)
    assert leaves(changed)[-1].kind is Kind.DECLARE
    assert changed.get("/services").json()["groups"][0]["services"] == [service[SERVICE]]
    changed.close()
    # A group that is in use no longer stays published: there are leaves that bear its number.
    without = ConsentCity(tmp_path, keys=city.keys)
    assert [one["number"] for one in without.get("/services").json()["groups"]] == [7]
    assert not without.office.catalogue.codes(SERVICE, PURPOSE).flags
    without.close()


def test_a_pair_that_is_in_no_group_bears_its_own_numbers(tmp_path: Path) -> None:
    group = Group(7, (OTHER_SERVICE,), (PURPOSE, "https://w3id.org/dpv#Other"))
    city = ConsentCity(tmp_path, groups=[group])
    city.declare_all()
    wallet = Wallet(city).enrolled()
    assert of(city, given(city, wallet))[0].flags == 0
    city.close()


def test_a_group_hides_a_purpose_of_none(city: ConsentCity) -> None:
    """An opposition may name no purpose: any group of its service will do."""
    codes = city.office.catalogue
    assert codes.group_codes(SERVICE, None).service == 7
    assert codes.group_codes("urn:nobody", None).service == 0
    assert codes.group_codes(SERVICE, "https://w3id.org/dpv#Unheard").service == 0


def test_without_groups_nothing_is_counted(city: ConsentCity) -> None:
    store = city.office.logbook.groups._store
    assert LeafGroups(store, (), Clock()).codes(1, 1).flags == 0
