"""What copies of one credential share, what organisations share, and what stays on the issuer's disk."""

import logging
from base64 import b64encode
from itertools import combinations
from pathlib import Path

import pytest

from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt_vc.parse import UnverifiedSdJwtVc, peek
from identity.issuer import pairwise
from identity.issuer.person import Person, Subject, format_subject, parse_subject
from identity.keys.keyed_hash import InProcessKeyedHash
from tests.issuer_city import NOW, RESIDENTS, City, Wallet

CONFIGURATIONS = ("person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt")
MIREIA = ("Mireia", "Puig", "00000001R", "1990-02-28")


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_copies_of_a_batch_share_only_what_everybody_shares(city: City, configuration: str) -> None:
    answer = city.batch(city.token(configuration), configuration, 10)
    bodies = [one["credential"] for one in answer.json()["credentials"]]
    copies = [peek(body) for body in bodies]
    disclosures = [set(compact.parse(body, what="copy").disclosures) for body in bodies]
    for first, second in combinations(range(10), 2):
        one, other = copies[first], copies[second]
        assert one.holder_key != other.holder_key
        assert not disclosures[first] & disclosures[second], "a salt, and so a disclosure, came twice"
        assert not _digests(one) & _digests(other)
        assert one.status is None or one.status != other.status
        assert (one.iat, one.exp) == (other.iat, other.exp)
    step = 86_400 if configuration.startswith("residency") else 3_600
    assert copies[0].iat == NOW - NOW % step and copies[0].exp is not None and copies[0].exp % step == 0
    assert (copies[0].status is not None) == configuration.startswith("residency")


def test_residents_of_an_hour_share_its_times(city: City) -> None:
    first = city.issued("person-id-sd-jwt")[0]
    city.now[0] += 1_000
    second = city.issued("person-id-sd-jwt", row="2")[0]
    assert (first.iat, first.exp) == (second.iat, second.exp)


def _digests(copy: UnverifiedSdJwtVc) -> set[str]:
    return set(copy.claims.get("_sd", ()))


def test_organisations_share_no_value(city: City) -> None:
    ids = [city.issued("pairwise-sd-jwt", row=row)[0].claims["ids"] for row in ("1", "2")]
    values = [value for one in ids for value in one.values()]
    assert len(set(values)) == len(values) == 2 * len(city.organisations)
    for value in values:
        assert value[0] == "a" and value == value.lower() and value.isalnum() and len(value) == 53


def test_identifiers_are_for_life_and_new_organisations_join(city: City) -> None:
    before = city.issued("pairwise-sd-jwt")[0].claims["ids"]
    city.now[0] += 30 * 86_400
    city.organisations.append("urn:atorga:party:new")
    after = city.issued("pairwise-sd-jwt")[0].claims["ids"]
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"urn:atorga:party:new"}


def test_card_and_counter_give_the_same_identifiers(city: City) -> None:
    wallet = Wallet(city)
    token = wallet.exchange(wallet.code(scope="pairwise-sd-jwt")).json()["access_token"]
    by_card = peek(city.batch(token, "pairwise-sd-jwt").json()["credentials"][0]["credential"]).claims["ids"]
    assert by_card == city.issued("pairwise-sd-jwt")[0].claims["ids"]


def test_many_organisations_fill_several_credentials(city: City) -> None:
    city.organisations[:] = [f"urn:atorga:party:{number:04d}" for number in range(401)]
    tokens = city.redeem(city.offer("pairwise-sd-jwt")[0]).json()
    (detail,) = tokens["authorization_details"]
    assert detail["credential_identifiers"] == [f"pairwise-sd-jwt.{number}" for number in range(3)]
    found: dict[str, str] = {}
    sizes = []
    for identifier in detail["credential_identifiers"]:
        from identity.keys.signer import SoftwareSigner

        proof = city.proof(SoftwareSigner.generate(), city.c_nonce())
        answer = city.ask(tokens["access_token"], {"credential_identifier": identifier, "proofs": {"jwt": [proof]}})
        ids = peek(answer.json()["credentials"][0]["credential"]).claims["ids"]
        sizes.append(len(ids))
        found |= ids
    assert sizes == [200, 200, 1] and list(found) != [] and found.keys() == set(city.organisations)


def test_another_issuer_makes_other_identifiers() -> None:
    person = Person("00000001R", "", "", None, "low")
    keys = InProcessKeyedHash({"bcn/pairwise": bytes(32), "bilbo/pairwise": bytes(31) + b"\1"})
    here = pairwise.identifiers(person, ["urn:x"], keys, "bcn/pairwise")
    there = pairwise.identifiers(person, ["urn:x"], keys, "bilbo/pairwise")
    assert here != there
    assert pairwise.identifiers(person, [], keys, "bcn/pairwise") == {}


def spellings(value: str) -> set[bytes]:
    """As it stands, in hex, in UTF-16, and inside base64 at each of its three offsets."""
    raw = value.encode()
    found = {raw, raw.hex().encode(), value.encode("utf-16-le"), value.lower().encode()}
    for shift in range(3):
        encoded = b64encode(b"\0" * shift + raw).rstrip(b"=")
        found.add(encoded[(shift * 8 + 5) // 6 : -1])
    assert all(len(one) >= 4 for one in found)
    return found


def test_nothing_of_a_person_is_on_the_disk(city: City, caplog: pytest.LogCaptureFixture) -> None:
    """While a flow is half way, while tokens live, and after it; with every secret that a wallet held."""
    caplog.set_level(logging.DEBUG)
    secrets: list[str] = []
    wallet = Wallet(city)
    half_way = wallet.code()
    offered, tx_code = city.offer("person-id-sd-jwt", tx_code=True)
    tokens = wallet.exchange(wallet.code()).json()
    for configuration in ("person-id-sd-jwt", "residency-sd-jwt"):
        issued = city.batch(tokens["access_token"], configuration).json()
        secrets += [issued["notification_id"], *(one["credential"][:200] for one in issued["credentials"])]
    subject = Subject(None, "1")
    made = city.hall.offers.pre_authorized(["person-id-sd-jwt"], subject, with_tx_code=False, by_reference=True)
    refreshed = wallet.refresh(tokens["refresh_token"]).json()
    secrets += [half_way, offered, made.link[-43:], *(refreshed[name] for name in ("access_token", "refresh_token"))]
    secrets += [tokens["access_token"], tokens["refresh_token"]]
    content = b"".join(path.read_bytes() for path in files(city.database))
    assert len(content) > 10_000
    for value in (*MIREIA, *secrets):
        for spelling in spellings(value):
            assert spelling not in content, value[:8]
    assert tx_code is not None and tx_code.encode() not in content
    logged = caplog.text
    for value in (*MIREIA, *secrets):
        assert value not in logged


def files(database: Path) -> list[Path]:
    return sorted(database.parent.glob(f"{database.name}*"))


def test_sealed_subjects_are_read_back() -> None:
    from datetime import date

    for subject in (
        Subject(None, "17"),
        Subject(Person("00000001R", "Mireia", "Puig", date(1990, 2, 28), "high")),
        Subject(Person("00000001R", "Mireia", "Puig", None, "high")),
    ):
        assert parse_subject(format_subject(subject)) == subject
        assert "Mireia" not in repr(subject) and "00000001R" not in repr(subject) and "17" not in repr(subject)
    for row in RESIDENTS:
        assert str(row[1]) not in repr(Person(row[1], row[2], row[3], None, "high"))
