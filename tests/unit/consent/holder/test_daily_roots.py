"""Daily roots of a data holder (ADR 0009, D9): one record a proven allow, whatever was released."""

import json
from pathlib import Path
from typing import Any

import pytest

from atorga import cli
from consent.holder.records import DayRoot, LeafRecord, records_root, sign_root
from consent.holder.sending import SETTLING_SECONDS
from consent.ledger import journal_root as auditor
from consent.ledger.leaf import Kind
from identity.codec import base64url
from identity.errors import KeyUnavailable
from tests.holder_city import BERTA, CLAIM, CONSENT, HOLDER, NOW, City, Wallet
from tests.unit.consent.holder.test_law import approve, basis_request, declare

DAY = NOW // 86_400
NEXT_DAY = (DAY + 1) * 86_400 + SETTLING_SECONDS


def stated(city: City) -> list[tuple[int, int]]:
    """What the consent service was told, as an auditor checks it."""
    roots = [auditor.verify_journal_root(one, key_of=city.key_of, consent=CONSENT) for one in city.consent.roots]
    assert all(one.holder == HOLDER for one in roots)
    return [(one.day, one.count) for one in roots]


def test_every_proven_allow_is_recorded(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, max_uses=1)
    assert city.read(grant_id).status_code == 200
    assert city.read(grant_id).status_code == 403, "over the limit that was signed"
    other = city.grant(anna)
    assert city.read(other, subject={CLAIM: BERTA}).status_code == 403
    assert city.read(other, attributes=("household.size",)).status_code == 200
    records = city.records.of_day(DAY)
    assert [(one.leaf_index, one.kind, one.leaf_id, one.counter) for one in records] == [
        (0, Kind.USE, grant_id, 2), (1, Kind.USE, grant_id, 3), (2, Kind.USE, other, 2), (3, Kind.USE, other, 3),
    ]  # fmt: skip
    assert {one.log for one in records} == {"localhost:8101/log/2026"}
    assert city.records.root_of(DAY) == DayRoot(DAY, 4, records_root(records))


def test_also_where_nothing_could_be_released(city: City, anna: Wallet) -> None:
    grant_id, held = city.grant(anna), city.grant(anna, on_change="freeze")
    city.withdraw(anna, city.grant(anna))

    class Silent:
        def hashes(self, scope: str, messages: Any) -> list[bytes]:
            raise KeyUnavailable("keyed hash: its process does not answer")

    city.services.enforcement._keyed_hash = Silent()
    assert city.read(held).status_code == 503
    source = city.services.enforcement._source
    read = source.resolutions.read  # type: ignore[attr-defined]

    def slowly(*asked: Any, **named: Any) -> Any:
        city.clock.now += 5
        return read(*asked, **named)

    source.resolutions.read = slowly  # type: ignore[attr-defined]
    assert city.read(grant_id).status_code == 503, "the time ran out"
    source.resolutions.read = read  # type: ignore[attr-defined]
    (city.folder / "register.sqlite").write_bytes(b"no database at all" * 100)
    assert city.read(grant_id).status_code == 503
    assert len(city.records.of_day(DAY)) == 3


def test_what_was_not_proven_is_not_recorded(city: City, anna: Wallet) -> None:
    city.consent.lies.event = lambda event: event | {"counter": 9}
    assert city.read(city.grant(anna)).status_code == 503
    assert city.records.of_day(DAY) == []


def test_the_root_is_what_an_auditor_computes(city: City, anna: Wallet) -> None:
    approve(city, declare(city))
    grant_id = city.grant(anna)
    for _ in range(3):
        city.read(grant_id)
    assert city.send(basis_request(city)).status_code == 200
    records = city.records.of_day(DAY)
    assert [one.kind for one in records] == [Kind.USE] * 3 + [Kind.NOTICE] and records[3].counter == 0
    theirs = [
        auditor.Record(one.log, one.leaf_index, int(one.kind), base64url.decode(one.leaf_id), one.counter)
        for one in records
    ]
    assert base64url.encode(auditor.root_of(theirs)) == city.records.root_of(DAY).root
    assert [one.to_bytes() for one in theirs] == [one.to_bytes() for one in records]


def test_a_day_is_stated_once_it_is_over(city: City, anna: Wallet) -> None:
    city.read(city.grant(anna))
    for late in (0, -1):
        city.clock.now = float(NEXT_DAY + late) if late else city.clock.now
        assert city.sending.roots() == 0
    city.clock.now = float(NEXT_DAY)
    assert (city.sending.roots(), city.sending.roots()) == (1, 0)
    assert stated(city) == [(DAY, 1)]
    city.clock.now += 2 * 86_400
    assert city.sending.roots() == 2
    assert stated(city) == [(DAY, 1), (DAY + 1, 0), (DAY + 2, 0)], "a day without a release is a statement too"


def test_a_corrected_root_is_a_new_statement(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna)
    city.read(grant_id)
    city.clock.now = float(NEXT_DAY)
    city.sending.roots()
    leaf = city.consent.lies.leaf
    city.consent.lies.leaf = lambda made: made.at_minute(DAY * 1_440 + 5)
    assert city.read(grant_id).status_code == 200
    city.consent.lies.leaf = leaf
    assert city.sending.roots() == 1
    assert stated(city) == [(DAY, 1), (DAY, 2)]


def test_what_is_not_taken_is_sent_again(city: City, anna: Wallet) -> None:
    city.read(city.grant(anna))
    city.clock.now = float(NEXT_DAY)
    city.consent.lies.down = True
    with pytest.raises(Exception, match="503"):
        city.sending.roots()
    city.consent.lies.down = False
    assert city.sending.roots() == 1 and stated(city) == [(DAY, 1)]


def test_nothing_released_nothing_stated(city: City) -> None:
    city.clock.now += 10 * 86_400
    assert city.sending.roots() == 0


def test_another_period_of_the_log_counts_anew(city: City) -> None:
    def record(log: str, index: int) -> LeafRecord:
        return LeafRecord(log, index, DAY, Kind.USE, base64url.encode(bytes([index] * 16)), 2)

    from consent.holder import records as module

    with city.records._engine.begin() as connection:
        for one in (record("h/log/2027", 0), record("h/log/2026", 9), record("h/log/2026", 9), record("h/log/2026", 3)):
            module.add(connection, one)
    assert [(one.log, one.leaf_index) for one in city.records.of_day(DAY)] == [
        ("h/log/2026", 3), ("h/log/2026", 9), ("h/log/2027", 0),
    ]  # fmt: skip


def test_signed_by_the_registry_key(city: City) -> None:
    compact = sign_root(
        DayRoot(DAY, 0, records_root([])), holder=HOLDER, consent=CONSENT, now=NOW, signer=city.keys[HOLDER]
    )
    checked = auditor.verify_journal_root(compact, key_of=city.key_of, consent=CONSENT)
    assert (checked.day, checked.count, checked.issued) == (DAY, 0, NOW)


# The operator's command.


@pytest.fixture
def configuration(city: City, tmp_path: Path) -> Path:
    path = tmp_path / "holder.toml"
    path.write_text(
        f"""
[service]
url = "http://localhost:8102"
port = 8102
data = "."
[registry]
url = "http://localhost:8100/registry"
anchors = "registry.pem"
[holder]
party = "{HOLDER}"
key = "key.pem"
hpke_key = "hpke.json"
consent = "{CONSENT}"
log_vkey = "{city.consent.vkey}"
issuer_anchors = "issuers.pem"
[register.attributes.a]
type = "text"
category = "https://w3id.org/dpv/pd#Income"
purposes = ["https://w3id.org/dpv#PublicBenefit"]
resolutions = ["raw"]
"""
    )
    return path


@pytest.mark.parametrize("day", [str(DAY), "2026-11-22"])
def test_records_for_an_auditor(
    city: City, anna: Wallet, configuration: Path, capsys: pytest.CaptureFixture[str], day: str
) -> None:
    city.read(city.grant(anna))
    assert cli.main(["holder", "records", day, "--config", str(configuration), "--profile", "sandbox"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value.keys() == {"holder", "day", "count", "root", "records"}
    assert (value["holder"], value["day"], value["count"]) == (HOLDER, DAY, 1)
    assert value["root"] == city.records.root_of(DAY).root
    assert value["records"][0].keys() == {"log", "leaf_index", "kind", "id", "counter"}


def test_the_spool_for_an_operator(city: City, configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    approve(city, declare(city))
    city.send(basis_request(city))
    city.consent.lies.down = True
    city.send(basis_request(city, urgent=True))
    assert cli.main(["holder", "spool", "--config", str(configuration), "--profile", "sandbox"]) == 0
    assert json.loads(capsys.readouterr().out)["notices"] == [{"sequence": 1, "time": NOW, "state": "waiting"}]


def test_wrong_arguments(configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day in ("yesterday", "2026-13-01", "-1", "1234567"):
        with pytest.raises(SystemExit):
            cli.main(["holder", "records", day, "--config", str(configuration)])
    assert cli.main(["holder", "records", "1", "--config", str(tmp_path / "none.toml")]) == 2
    (tmp_path / "holder.db").rename(tmp_path / "other.db")
    assert cli.main(["holder", "records", "1", "--config", str(configuration), "--profile", "sandbox"]) == 2
