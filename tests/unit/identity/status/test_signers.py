"""Which certificate may sign for which address."""

import pytest

from identity.errors import TrustError
from identity.status.signers import SignerRule, lies_under, status_addresses
from identity.trust.chain import VerifiedChain, verify_chain
from identity.trust.registry import VerifiedRegistry
from tests.unit.identity.status.conftest import ONE, PREFIX, StatusCity
from tests.unit.identity.trust.conftest import DAY, NOW, Clock

CITY = StatusCity()


@pytest.mark.parametrize(
    ("uri", "prefix"),
    [
        (ONE, PREFIX),
        (PREFIX, PREFIX),
        (ONE, PREFIX.rstrip("/")),
        ("https://a.example/s", "https://a.example/s"),
        ("https://A.example/s", "https://a.example/"),
        ("https://a.example/s/1/2", "https://a.example"),
        ("http://localhost:8100/s/1", "http://localhost:8100/s/"),
    ],
)
def test_under(uri: str, prefix: str) -> None:
    assert lies_under(uri, prefix)


@pytest.mark.parametrize(
    "uri",
    [
        "https://town.example/bcn/status2/1",
        "https://town.example/bcn/",
        "https://town.example.evil.example/bcn/status/1",
        "https://town.example:444/bcn/status/1",
        "http://town.example/bcn/status/1",
        "https://u@town.example/bcn/status/1",
        f"{PREFIX}../x",
        f"{PREFIX}./1",
        f"{PREFIX}%2e%2e/x",
        f"{PREFIX}..\\x",
        f"{ONE}?who=1",
        f"{ONE}?",
        f"{ONE}#1",
        f"{ONE}#",
        "",
        "not an address",
    ],
)
def test_not_under(uri: str) -> None:
    assert not lies_under(uri, PREFIX)


def path(at: int = NOW) -> VerifiedChain:
    return verify_chain(CITY.chain(CITY.status), [CITY.root.der], at=at)


def require(listed: VerifiedRegistry | None, uri: str = ONE, now: int = NOW, stand_in: tuple[str, ...] = ()) -> None:
    SignerRule(None if listed is None else lambda: listed, stand_in).require(path(), uri, now=now)


def test_listed_signer() -> None:
    require(CITY.registry_list)


def test_refused() -> None:
    for listed, uri, reason in (
        (CITY.verified(), ONE, "certificate is not listed"),
        (CITY.verified(CITY.issuer_entry(roles=["issuer"])), ONE, "not listed for status"),
        (CITY.verified(CITY.issuer_entry(to=NOW)), ONE, "another time"),
        (CITY.registry_list, "https://town.example/other/1", "is not one of"),
        (None, ONE, "no list of parties"),
    ):
        with pytest.raises(TrustError, match=reason):
            require(listed, uri)


def test_certificate_that_has_expired_since() -> None:
    for now in (NOW + 11 * DAY, NOW - 11 * DAY):
        with pytest.raises(TrustError, match="not valid now"):
            require(CITY.registry_list, now=now)
        with pytest.raises(TrustError, match="not valid now"):
            require(None, now=now, stand_in=(PREFIX,))


def test_prefix_of_a_request_stands_in() -> None:
    require(None, stand_in=("https://x.example/", PREFIX))
    with pytest.raises(TrustError, match="no list of parties"):
        require(None, stand_in=("https://x.example/",))


def test_addresses_that_may_be_fetched() -> None:
    allow = status_addresses(lambda: CITY.registry_list, Clock())
    assert allow(PREFIX) and allow(ONE) and not allow("https://town.example/bcn/keys")
    stale = status_addresses(lambda: CITY.registry_list, Clock(NOW + 31 * DAY))
    assert not stale(ONE)
