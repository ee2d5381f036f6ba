"""No bit of a token can be changed, no bytes bring anything but our errors, and every challenge reads back."""

import secrets
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.card import challenge as challenges
from identity.card.holder import nif_letter
from identity.card.path import VerifiedPath, read_leaf
from identity.card.profile import bundled
from identity.card.revocation import require_good
from identity.card.web_eid import format_token, read_token
from identity.codec import base64url, strict_json
from identity.errors import CardError
from tests.unit.identity.card.mint import NONCE, ORIGIN, Answer, Mint, ec_key, token

MINT = Mint()
CARDS = {"ES256": MINT.card(key=ec_key()), "RS256": MINT.card()}
TOKENS = {algorithm: token(card) for algorithm, card in CARDS.items()}


def verify(message: object) -> object:
    return MINT.verifier().verify(message, origin=ORIGIN, nonce=NONCE)


def flipped(value: bytes, position: int) -> bytes:
    changed = bytearray(value)
    changed[position // 8 % len(value)] ^= 1 << position % 8
    return bytes(changed)


@pytest.mark.parametrize("algorithm", CARDS)
@pytest.mark.parametrize("member", ["unverifiedCertificate", "signature"])
@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 2**16))
def test_a_flipped_bit_is_refused(algorithm: str, member: str, position: int) -> None:
    message = TOKENS[algorithm]
    changed = b64encode(flipped(b64decode(message[member]), position)).decode()
    with pytest.raises(CardError):
        verify({**message, member: changed})


@pytest.mark.parametrize("algorithm", CARDS)
@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 2**16))
def test_a_flipped_bit_of_the_text_is_refused(algorithm: str, position: int) -> None:
    """Also one between members: nothing of a token is without meaning."""
    try:
        changed = read_token(flipped(strict_json.compact(TOKENS[algorithm]), position))
    except CardError:
        return
    with pytest.raises(CardError):
        verify(format_token(changed))


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 2**16))
def test_a_flipped_bit_of_an_answer_is_refused(position: int) -> None:
    answer = Answer(MINT, change=lambda made: flipped(made, position))
    path = VerifiedPath(read_leaf(CARDS["ES256"].der), MINT.issuing.certificate)
    with pytest.raises(CardError):
        require_good(path, bundled("sandbox"), transport=answer, clock=lambda: MINT.now, random=secrets.token_bytes)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_bring_our_errors(data: bytes) -> None:
    with pytest.raises(CardError):
        read_leaf(data)
    with pytest.raises(CardError):
        read_token(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=10), child, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    message=st.fixed_dictionaries(
        {
            "unverifiedCertificate": json_values | st.binary(max_size=200).map(lambda raw: b64encode(raw).decode()),
            "algorithm": json_values | st.sampled_from(["RS256", "ES256"]),
            "signature": json_values | st.binary(max_size=80).map(lambda raw: b64encode(raw).decode()),
            "format": json_values | st.just("web-eid:1.0"),
        }
    )
)
def test_any_object_brings_our_errors(message: dict[str, Any]) -> None:
    with pytest.raises(CardError):
        verify(message)


@settings(max_examples=100)
@given(
    random=st.binary(min_size=32, max_size=32),
    binding=st.binary(min_size=32, max_size=32),
    session=st.binary(min_size=16, max_size=16),
    purpose=st.sampled_from([purpose for purpose in challenges.PURPOSES if purpose != "withdraw"]),
)
def test_a_challenge_reads_back(random: bytes, binding: bytes, session: bytes, purpose: str) -> None:
    made = challenges.Challenge(
        base64url.encode(random), base64url.encode(binding), "https://ciutat.example", purpose,
        base64url.encode(session),
    )  # fmt: skip
    assert challenges.parse_challenge(challenges.format_challenge(made)) == made


@given(number=st.integers(0, 99_999_999), change=st.integers(1, 9), place=st.integers(0, 7))
def test_one_wrong_digit_changes_the_letter(number: int, change: int, place: int) -> None:
    digits = f"{number:08d}"
    other = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    assert nif_letter(digits) != nif_letter(other)


def test_the_tokens_are_good() -> None:
    """Else the refusals above would prove nothing."""
    for message in TOKENS.values():
        verify(message)
