"""Profiles are data, read strictly; the two that ship say what we mean."""

import pytest

from identity.card import profile as room
from identity.card.profile import SANDBOX_POLICY, bundled, read_profile
from identity.errors import CardError

GOOD = """
id = "ciutat"
sandbox = false
assurance_level = "substantial"
country = "ES"
issuers = [{ CN = "AC CIUTAT", O = "AJUNTAMENT" }]
[certificate]
policies = ["1.2.3"]
key_usage = ["digitalSignature"]
extended_key_usage = ["1.3.6.1.5.5.7.3.2"]
[holder]
number_rule = "es-nif"
number_prefixes = ["", "IDCES-"]
common_name_endings = [" (AUTENTICACIÓN)"]
birth_date = true
[status]
ocsp_hosts = ["ocsp.example", "ocsp2.example:8080"]
ocsp_nonce = true
"""


def test_the_dnie() -> None:
    dnie = bundled("dnie")
    assert dnie.policies == {"2.16.724.1.2.2.2.4"}
    assert dnie.key_usage == {"digitalSignature"}
    assert {dict(issuer)["2.5.4.3"] for issuer in dnie.issuers} == {f"AC DNIE 00{n}" for n in range(1, 7)}
    assert dnie.ocsp_hosts == {"ocsp.dnie.es", "ocsp.dnielectronico.es"}
    assert dnie.ocsp_nonce
    assert not dnie.sandbox


def test_the_sandbox() -> None:
    sandbox = bundled("sandbox")
    assert sandbox.sandbox
    assert sandbox.policies == {SANDBOX_POLICY}


@pytest.mark.parametrize("name", ["fnmt", "../profiles/dnie", "DNIE", "", "dnie.toml", "dnie\0"])
def test_another_name(name: str) -> None:
    with pytest.raises(CardError):
        bundled(name)


def test_a_town_hall_adds_a_family() -> None:
    found = read_profile(GOOD)
    assert found.id == "ciutat"
    assert found.issuers == {frozenset({("2.5.4.3", "AC CIUTAT"), ("2.5.4.10", "AJUNTAMENT")})}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('id = "ciutat"', ""),
        ('id = "ciutat"', 'id = "ciutat"\nid = "dnie"'),
        ('id = "ciutat"', 'id = "ciutat"\nmore = 1'),
        ('id = "ciutat"', "id = 7"),
        ("sandbox = false", "sandbox = true"),
        ("sandbox = false", 'sandbox = "no"'),
        ('"substantial"', '"qualified"'),
        ('CN = "AC CIUTAT"', 'OU = "AC CIUTAT"'),
        ('CN = "AC CIUTAT"', 'CN = "AC CIUTAT", X = "y"'),
        ('[{ CN = "AC CIUTAT", O = "AJUNTAMENT" }]', "[]"),
        ('[{ CN = "AC CIUTAT", O = "AJUNTAMENT" }]', '["AC CIUTAT"]'),
        ('"1.2.3"', ""),
        ('"1.2.3"', '"anyPolicy"'),
        ('"1.2.3"', '"1.2.3", "1.2.3"'),
        ('"1.2.3"', f'"{SANDBOX_POLICY}"'),
        ('"1.2.3"', f'"1.2.3", "{SANDBOX_POLICY}"'),
        ('["digitalSignature"]', '["nonRepudiation"]'),
        ('["digitalSignature"]', '["digitalSignature", "keyCertSign"]'),
        ('["digitalSignature"]', '"digitalSignature"'),
        ('"es-nif"', '"none"'),
        ('["", "IDCES-"]', '["IDCES"]'),
        ('["", "IDCES-"]', "[]"),
        ('["", "IDCES-"]', "[7]"),
        ("birth_date = true", ""),
        ('"ocsp.example"', '"http://ocsp.example"'),
        ('"ocsp.example"', '"OCSP.example"'),
        ('"ocsp.example"', '"ocsp.example:*"'),
        ('"ocsp.example"', '"ocsp.example/x"'),
        ('["ocsp.example", "ocsp2.example:8080"]', "[]"),
        ("ocsp_nonce = true", "ocsp_nonce = true\nsoft_fail = true"),
        ("[status]", "[state]"),
        ("[status]", "[[status]]"),
        ("[status]", "[status"),
    ],
)
def test_what_does_not_fit_is_refused(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(CardError, match="card profile"):
        read_profile(GOOD.replace(old, new, 1))


def test_a_long_file() -> None:
    with pytest.raises(CardError, match="more than"):
        read_profile(GOOD + "#" * room.MAX_PROFILE_BYTES)


@pytest.mark.parametrize(
    "url",
    ["http://ocsp.example", "http://ocsp.example/", "http://ocsp.example:80/x", "https://ocsp.example:443",
     "http://ocsp2.example:8080/ocsp", "http://OCSP.example"],
)  # fmt: skip
def test_responders_it_may_ask(url: str) -> None:
    assert read_profile(GOOD).permits_ocsp(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example", "http://ocsp.example.evil.org", "http://ocsp.example:8080", "http://ocsp2.example",
        "https://ocsp.example:80", "http://ocsp.example@evil.org", "http://evil.org@ocsp.example/",
        "http://evil.org/ocsp.example", "http://evil.org#ocsp.example", "ldap://ocsp.example", "ocsp.example",
        "http://ocsp.example:x", "http://[ocsp.example", "http://", "", "file:///ocsp.example",
        "http://127.0.0.1", "http://localhost:8105",
    ],
)  # fmt: skip
def test_responders_it_may_not(url: str) -> None:
    assert not read_profile(GOOD).permits_ocsp(url)


def test_any_port_is_for_the_sandbox() -> None:
    assert bundled("sandbox").permits_ocsp("http://localhost:8105")
    assert bundled("sandbox").permits_ocsp("http://localhost")
    assert not bundled("sandbox").permits_ocsp("http://localhost.example:8105")
