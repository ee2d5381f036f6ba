"""The challenge a card signs (WIRE C7).

    nonce = base64(SHA-256("atorga/card/v1", random, binding, issuer, purpose, session))

Each part stands behind its length. ``random`` is 32 raw bytes, the rest is text as it stands in
JSON. So the card's signature covers whose key is being given something (``binding``), by whom and
what for; whoever signs gets the fields and makes the nonce from them again, and never signs a
nonce it cannot explain.

The rule of a store of challenges is here, its tables are the issuer's: a challenge is taken out by
the first answer of its session, whether that answer is good or not, and is good for five minutes.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import pbkdf2_hmac, sha256
from typing import Any, Protocol

from identity.codec import base64url
from identity.codec.length_prefix import prefixed
from identity.codec.members import digest, exact_members, identifier, integer, text
from identity.errors import CardError, EncodingError
from identity.randomness import Random

TAG = "atorga/card/v1"

PURPOSES = ("issue", "issue+pkce", "recover", "add-card", "grant", "withdraw", "kill")
"""The closed list. ``withdraw`` is bound to a grant id, every other one to a SHA-256 value."""

TTL_SECONDS = 300
"""Time to find the card and type a PIN. Web eID's default, and WIRE's ``expires_in``."""

RANDOM_BYTES = 32

MAX_ISSUER = 512
"""Characters: an address or the id of a party."""

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, which are read as others."""

CODE_ROUNDS = 2**16
"""Rounds of PBKDF2: 30 ms for us, once a session. Forty bits of a plain hash take one graphics card
three minutes to meet, within a challenge's life; with these rounds it takes three months."""

_WHAT = "card challenge"
_MEMBERS = frozenset({"nonce", "random", "binding", "issuer", "purpose", "session", "expires_in"})


@dataclass(frozen=True, slots=True)
class Challenge:
    """The fields of one challenge; only valid ones exist. Raises CardError."""

    random: str
    binding: str
    issuer: str
    purpose: str
    session: str

    def __post_init__(self) -> None:
        _require_fields(
            random=self.random, binding=self.binding, issuer=self.issuer, purpose=self.purpose, session=self.session
        )

    @property
    def nonce(self) -> str:
        return nonce(
            random=self.random, binding=self.binding, issuer=self.issuer, purpose=self.purpose, session=self.session
        )


def nonce(*, random: str, binding: str, issuer: str, purpose: str, session: str) -> str:
    """44 characters of base64, which the card signs as text. Raises CardError for fields of another shape."""
    raw = _require_fields(random=random, binding=binding, issuer=issuer, purpose=purpose, session=session)
    return b64encode(sha256(prefixed(TAG, raw, binding, issuer, purpose, session)).digest()).decode("ascii")


def comparison_code(binding: str) -> str:
    """Eight characters that a person compares on two screens before typing a PIN.

    Two bindings have the same code only by chance: making a second one for a given code costs
    2^40 times ``CODE_ROUNDS`` hashes.
    """
    value = int.from_bytes(pbkdf2_hmac("sha256", binding.encode("utf-8"), b"atorga/card-code/v1", CODE_ROUNDS, 5))
    return "".join(CODE_ALPHABET[value >> shift & 31] for shift in range(35, -1, -5))


def make_challenge(random: Random, *, binding: str, issuer: str, purpose: str, session: str) -> Challenge:
    return Challenge(base64url.encode(random(RANDOM_BYTES)), binding, issuer, purpose, session)


def format_challenge(challenge: Challenge) -> dict[str, Any]:
    """The answer of ``POST {issuer}/card/challenge``."""
    return {
        "nonce": challenge.nonce,
        "random": challenge.random,
        "binding": challenge.binding,
        "issuer": challenge.issuer,
        "purpose": challenge.purpose,
        "session": challenge.session,
        "expires_in": TTL_SECONDS,
    }


def parse_challenge(message: Mapping[str, Any]) -> Challenge:
    """The challenge of a message whose nonce is made from the fields beside it. Raises CardError."""
    try:
        exact_members(message, what=_WHAT, required=_MEMBERS)
        integer(message, "expires_in", what=_WHAT, minimum=TTL_SECONDS, maximum=TTL_SECONDS)
        received = text(message, "nonce", what=_WHAT, max_length=44)
        fields = {name: text(message, name, what=_WHAT) for name in ("random", "binding", "issuer", "purpose")}
        challenge = Challenge(**fields, session=text(message, "session", what=_WHAT))
    except EncodingError as fault:
        raise CardError(str(fault)) from None
    if received != challenge.nonce:
        raise CardError(f"{_WHAT}: the nonce is not made from the fields beside it")
    return challenge


@dataclass(frozen=True, slots=True)
class IssuedChallenge:
    challenge: Challenge
    expires: float
    """Seconds since 1970; at that moment it is no longer good."""


class ChallengeStore(Protocol):
    """Where challenges wait for their answer: at most one a session."""

    def put(self, issued: IssuedChallenge) -> None:
        """Keeps it under its session, in place of an earlier one."""
        ...

    def take(self, session: str) -> IssuedChallenge | None:
        """Removes and returns it in one step: of two racing calls one gets None, in all workers."""
        ...


def issue(store: ChallengeStore, challenge: Challenge, *, now: float) -> Challenge:
    store.put(IssuedChallenge(challenge, now + TTL_SECONDS))
    return challenge


def spend(store: ChallengeStore, *, session: str, now: float) -> Challenge:
    """The challenge of this session, which from here on is used up. Raises CardError.

    Call it before looking at the token: a challenge whose answer failed is not tried again.
    """
    issued = store.take(session)
    if issued is None:
        raise CardError(f"{_WHAT}: none is waiting in this session; it was used or never asked for")
    if issued.challenge.session != session:
        raise CardError(f"{_WHAT}: of another session")
    if now >= issued.expires:
        raise CardError(f"{_WHAT}: older than {TTL_SECONDS} seconds")
    return issued.challenge


def _require_fields(*, random: str, binding: str, issuer: str, purpose: str, session: str) -> bytes:
    """The raw bytes of ``random``, where all fields have their shape. Raises CardError."""
    fields = {"random": random, "binding": binding, "issuer": issuer, "session": session}
    if purpose not in PURPOSES:
        raise CardError(f"{_WHAT}: purpose is not one of {', '.join(PURPOSES)}")
    try:
        digest(fields, "random", what=_WHAT)
        if purpose == "withdraw":
            identifier(fields, "binding", what=_WHAT)
        else:
            digest(fields, "binding", what=_WHAT)
        identifier(fields, "session", what=_WHAT)
        if not text(fields, "issuer", what=_WHAT, max_length=MAX_ISSUER).isascii() or not issuer.isprintable():
            raise CardError(f"{_WHAT}: 'issuer' is not an address or the id of a party")
    except EncodingError as fault:
        raise CardError(str(fault)) from None
    return base64url.decode(random)
