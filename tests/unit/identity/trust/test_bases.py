"""The signed list of approved bases: what is not in it, or stands in a stale one, allows nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from identity.errors import FetchError, TrustError
from identity.trust.bases import VerifiedBases, sign_bases, verify_bases
from identity.trust.reader import BasesReader
from identity.trust.registry import sign_registry
from tests.unit.identity.trust.conftest import DAY, NOW, City, claims

CITY = City()
ANCHORS = [CITY.registry_root.der]
SERVICE, HOLDER = "urn:atorga:party:police", "urn:atorga:party:padron"
URL = "https://town.example/registry/bases"


def basis(**changes: Any) -> dict[str, Any]:
    return {
        "declaration": "inquiry@1", "declaration_hash": "A" * 43, "service": SERVICE, "holders": [HOLDER],
        "law": {"es": "Ley 7/1985, art. 16.3"}, "approved_by": "Data protection officer", "urgent": True,
        "opposable": False, "from": NOW - DAY, "to": NOW + DAY,
    } | changes  # fmt: skip


def body(*bases: Any, **changes: Any) -> dict[str, Any]:
    return {
        "iss": "urn:atorga:party:registry", "version": 2, "iat": NOW - 10, "exp": NOW + DAY, "bases": list(bases),
    } | changes  # fmt: skip


def signed(*bases: Any, **changes: Any) -> str:
    return sign_bases(body(*bases, **changes), CITY.registry.signer, [CITY.registry.der])


def read(compact: str, now: int = NOW, minimum_version: int = 0) -> VerifiedBases:
    return verify_bases(compact, anchors=ANCHORS, now=now, minimum_version=minimum_version)


def test_a_basis_is_found_and_says_what_it_is() -> None:
    found = read(signed(basis())).basis("inquiry@1", service=SERVICE, holder=HOLDER, now=NOW)
    assert found.to_json() == basis() and found.urgent and not found.opposable


@pytest.mark.parametrize(
    "asked",
    [
        {"declaration": "inquiry@2"},
        {"service": HOLDER},
        {"holder": SERVICE},
        {"now": NOW + DAY},
    ],
)
def test_what_is_not_approved_is_refused(asked: dict[str, Any]) -> None:
    named: dict[str, Any] = {"declaration": "inquiry@1", "service": SERVICE, "holder": HOLDER, "now": NOW}
    with pytest.raises(TrustError):
        read(signed(basis())).basis(**named | asked)


@pytest.mark.parametrize("period", [(NOW + 1, NOW + DAY), (NOW - DAY, NOW)])
def test_a_basis_holds_in_its_period(period: tuple[int, int]) -> None:
    found = read(signed(basis(**{"from": period[0], "to": period[1]})))
    with pytest.raises(TrustError, match="no approved basis"):
        found.basis("inquiry@1", service=SERVICE, holder=HOLDER, now=NOW)


@pytest.mark.parametrize(
    "entry",
    [
        {**basis(), "more": 1},
        {name: value for name, value in basis().items() if name != "law"},
        basis(urgent="yes"), basis(opposable=1), basis(law={}), basis(law={"es": ""}), basis(holders=[]),
        basis(holders=["padron"]), basis(declaration_hash="A"), basis(**{"from": NOW, "to": NOW}), basis(service="x"),
        "basis",
    ],
)  # fmt: skip
def test_a_malformed_basis_is_refused(entry: Any) -> None:
    with pytest.raises(TrustError):
        signed(entry)


def test_a_list_of_another_kind_time_or_signer_is_refused() -> None:
    parties = sign_registry(claims(CITY.issuer_entry()), CITY.registry.signer, [CITY.registry.der])
    for compact, now in ((parties, NOW), (signed(), NOW + DAY), (signed(iat=NOW + 100, exp=NOW + DAY), NOW)):
        with pytest.raises(TrustError):
            read(compact, now)
    other = sign_bases(body(), CITY.verifier.signer, [CITY.verifier.der])
    with pytest.raises(TrustError):
        read(other)
    with pytest.raises(TrustError, match="older"):
        read(signed(), minimum_version=3)
    with pytest.raises(TrustError, match="seconds after"):
        signed(exp=NOW + 40 * DAY)
    with pytest.raises(TrustError, match="expired"):
        read(signed(basis())).basis("inquiry@1", service=SERVICE, holder=HOLDER, now=NOW + DAY)


class Served:
    def __init__(self, text: str) -> None:
        self.text: str | None = text
        self.asked = 0

    def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
        self.asked += 1
        assert url == URL
        if self.text is None:
            raise FetchError("fetch: down")
        return self.text.encode()


def reader(served: Served, clock: Callable[[], float], kept: Path | None = None) -> BasesReader:
    return BasesReader(URL, fetcher=served, anchors=ANCHORS, clock=clock, kept=kept)


def test_a_reader_keeps_the_newest_and_takes_no_older_one(tmp_path: Path) -> None:
    now = [float(NOW)]
    served = Served(signed(version=5))
    first = reader(served, lambda: now[0], tmp_path / "bases")
    assert first.current().version == 5 and first.current().version == 5 and served.asked == 1
    served.text = signed(version=4)
    now[0] += 61
    assert first.current().version == 5 and served.asked == 2
    served.text = None
    again = reader(served, lambda: now[0], tmp_path / "bases")
    assert again.current().version == 5
    now[0] += DAY
    with pytest.raises(TrustError, match="expired"):
        again.current()
    served.text = signed(version=4, iat=int(now[0]), exp=int(now[0]) + 60)
    late = reader(served, lambda: now[0], tmp_path / "bases")
    with pytest.raises(TrustError, match="version 4 is older than 5"):
        late.current()


def test_the_same_version_signed_earlier_is_not_taken_back() -> None:
    now = [float(NOW)]
    served = Served(signed(basis(), version=5, iat=NOW))
    read = reader(served, lambda: now[0])
    assert len(read.current().bases) == 1
    served.text = signed(version=5, iat=NOW - 10)
    now[0] += 61
    assert len(read.current().bases) == 1 and served.asked == 2


def test_without_a_list_nothing_is_known() -> None:
    served = Served("")
    with pytest.raises(TrustError, match="no list is known"):
        reader(served, lambda: float(NOW)).current()
