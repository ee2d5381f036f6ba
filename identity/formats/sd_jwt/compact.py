"""The compact serialisation of SD-JWT and SD-JWT+KB (RFC 9901 section 4).

<Issuer-signed JWT>~<Disclosure 1>~…~<Disclosure N>~[<KB-JWT>]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from identity.envelope import jws
from identity.errors import SdJwtError
from identity.formats.sd_jwt.spec import MAX_BYTES, MAX_DISCLOSURES, SEPARATOR


@dataclass(frozen=True, slots=True)
class UnverifiedSdJwt:
    """An SD-JWT whose parts were told apart. Nothing in it is a fact."""

    issuer_jwt: jws.UnverifiedJws
    payload: dict[str, Any]
    """The claims of the Issuer-signed JWT, digests in place; to choose a key by."""
    disclosures: tuple[str, ...]
    key_binding_jwt: str | None
    """None: an SD-JWT, not an SD-JWT+KB."""
    without_key_binding: str
    """What ``sd_hash`` is over (section 4.3.1)."""


def parse(
    text: str, *, what: str = "SD-JWT", max_bytes: int = MAX_BYTES, max_disclosures: int = MAX_DISCLOSURES
) -> UnverifiedSdJwt:
    """Raises SdJwtError, and EnvelopeError where the Issuer-signed JWT has no form."""
    if len(text) > max_bytes:
        raise SdJwtError(f"{what}: {len(text)} characters, at most {max_bytes} are read")
    if text.count(SEPARATOR) > max_disclosures + 1:
        raise SdJwtError(f"{what}: more than {max_disclosures} disclosures")
    if not text.isascii():
        raise SdJwtError(f"{what}: not ASCII")
    issuer_signed, *disclosures = text.split(SEPARATOR)
    if not disclosures:
        raise SdJwtError(f"{what}: no '{SEPARATOR}', expected one after each part but a KB-JWT")
    key_binding_jwt = disclosures.pop()
    without_key_binding = text[: len(text) - len(key_binding_jwt)]
    issuer_jwt = jws.parse(issuer_signed, what=what, max_bytes=max_bytes)
    return UnverifiedSdJwt(
        issuer_jwt,
        issuer_jwt.claims(what=what),
        tuple(disclosures),
        key_binding_jwt or None,
        without_key_binding,
    )


def format(issuer_signed: str, disclosures: Sequence[str], key_binding_jwt: str = "") -> str:
    return SEPARATOR.join((issuer_signed, *disclosures, key_binding_jwt))
