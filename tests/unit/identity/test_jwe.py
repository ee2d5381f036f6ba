import pytest

from identity.codec import base64url, strict_json
from identity.envelope import jwe
from identity.errors import EnvelopeError
from identity.keys.signer import SoftwareSigner

RECIPIENT = SoftwareSigner.generate()


@pytest.mark.parametrize("enc", jwe.CONTENT_ENCRYPTIONS)
def test_round_trip(enc: jwe.ContentEncryption) -> None:
    compact = jwe.encrypt(b"text", RECIPIENT.public_key.jwk(), enc=enc, header={"kid": "1", "apv": "bg"})
    header, plaintext = jwe.decrypt(compact, RECIPIENT.private_jwk())
    assert plaintext == b"text"
    assert (header["enc"], header["kid"], header["apv"]) == (enc, "1", "bg")


def test_every_part_counts() -> None:
    parts = jwe.encrypt(b"text", RECIPIENT.public_key.jwk(), enc="A128GCM").split(".")
    for index in (0, 2, 3, 4):
        raw = bytearray(base64url.decode(parts[index]))
        raw[-1 if index else 20] ^= 1
        changed = [*parts[:index], base64url.encode(bytes(raw)), *parts[index + 1 :]]
        with pytest.raises(EnvelopeError):
            jwe.decrypt(".".join(changed), RECIPIENT.private_jwk())


def test_another_key() -> None:
    compact = jwe.encrypt(b"text", RECIPIENT.public_key.jwk(), enc="A256GCM")
    with pytest.raises(EnvelopeError, match="cannot be opened"):
        jwe.decrypt(compact, SoftwareSigner.generate().private_jwk())


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "dir"},
        {"alg": "ECDH-ES+A128KW"},
        {"enc": "A128CBC-HS256"},
        {"zip": "DEF"},
        {"crit": ["x"]},
        {"epk": None},
        {"epk": {"kty": "EC", "crv": "P-384"}},
    ],
)
def test_header_refused(change: dict[str, object]) -> None:
    parts = jwe.encrypt(b"text", RECIPIENT.public_key.jwk(), enc="A128GCM").split(".")
    header = strict_json.parse_object(base64url.decode(parts[0]), what="header") | change
    parts[0] = base64url.encode(strict_json.compact(header))
    with pytest.raises(EnvelopeError, match=r"expected ECDH-ES|not understood|epk"):
        jwe.decrypt(".".join(parts), RECIPIENT.private_jwk())


def test_form_and_size() -> None:
    for text in ("", "a.b.c", "....", "é...."):
        with pytest.raises(EnvelopeError):
            jwe.decrypt(text, RECIPIENT.private_jwk())
    with pytest.raises(EnvelopeError, match="at most"):
        jwe.decrypt("x" * 11, RECIPIENT.private_jwk(), max_bytes=10)


def test_key_that_cannot_be_encrypted_to() -> None:
    with pytest.raises(EnvelopeError):
        jwe.encrypt(b"x", {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}, enc="A128GCM")
