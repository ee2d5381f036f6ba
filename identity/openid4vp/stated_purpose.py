"""What a verifier says that it asks for, in the request it signs (OpenID4VP 1.0 section 5.1, ``verifier_info``).

One entry of a format of our own, ``{"procedure": id, "purpose": {language: text}}``. Section 5.1
wants a wallet to validate the entry's signature and its binding: it stands inside the request object,
so it is signed by whoever asks and bound to this request. It proves who said it, not that it is true.

Entries of other formats are somebody else's business and passed over, as the section allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.codec.members import exact_members, mapping, text
from identity.errors import EncodingError
from identity.openid4vp import spec

FORMAT = "urn:atorga:stated-purpose:1"

MAX_ENTRIES = 16
MAX_LANGUAGES = 16
MAX_TEXT = 300
"""Characters: what a screen shows beside what is asked for."""

MAX_PROCEDURE = 64
_WHAT = spec.VERIFIER_INFO


@dataclass(frozen=True, slots=True)
class StatedPurpose:
    procedure: str
    purpose: Mapping[str, str]
    """Language tag → text, as the verifier wrote it."""


def format(stated: StatedPurpose) -> list[dict[str, Any]]:
    """The value of ``verifier_info``."""
    data = {"procedure": stated.procedure, "purpose": dict(stated.purpose)}
    return [{"format": FORMAT, "data": data}]


def parse(claims: Mapping[str, Any]) -> StatedPurpose | None:
    """Of an authenticated request; None where it states none. Raises EncodingError."""
    if spec.VERIFIER_INFO not in claims:
        return None
    entries = claims[spec.VERIFIER_INFO]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_ENTRIES:
        raise EncodingError(f"{_WHAT}: a list of 1 to {MAX_ENTRIES} entries is expected")
    for entry in entries:
        if not isinstance(entry, dict):
            raise EncodingError(f"{_WHAT}: an entry must be an object")
        if text(entry, "format", what=_WHAT) == FORMAT:
            return _read(mapping(entry, "data", what=_WHAT))
    return None


def _read(data: Mapping[str, Any]) -> StatedPurpose:
    exact_members(data, what=_WHAT, required=frozenset({"procedure", "purpose"}))
    purpose = mapping(data, "purpose", what=_WHAT)
    if not 1 <= len(purpose) <= MAX_LANGUAGES:
        raise EncodingError(f"{_WHAT}: a purpose in 1 to {MAX_LANGUAGES} languages is expected")
    texts = {language: text(purpose, language, what=_WHAT, max_length=MAX_TEXT) for language in purpose}
    return StatedPurpose(text(data, "procedure", what=_WHAT, max_length=MAX_PROCEDURE), texts)
