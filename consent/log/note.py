"""Signed notes (C2SP signed-note) with Ed25519 keys, and cosignatures (C2SP tlog-cosignature).

    text, ends with a newline
    <empty line>
    — NAME base64(key id (4 bytes) || signature)

A signature of an unknown key is ignored; a known key whose signature is wrong refuses the note.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from consent.errors import LogError
from identity.errors import IdentityError
from identity.keys import ed25519

ED25519 = 0x01
COSIGNATURE_V1 = 0x04

MAX_NOTE_BYTES = 1_000_000
"""signed-note leaves it to us; the specification's own implementation reads this much."""

MAX_SIGNATURES = 100

_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile("— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")


class NoteSigner(Protocol):
    """Signs notes under a name; keys elsewhere than in this process fill the same role."""

    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A verifier key: ``NAME+HASH+base64(type || key)``."""

    name: str
    key_type: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "NoteKey":
        # The base64 part may hold a plus itself.
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise LogError("verifier key: expected NAME+HASH+KEY")
        name, key_hash, encoded = parts
        raw = decode_base64(encoded, what="verifier key")
        if len(raw) != 1 + ed25519.SEED_BYTES or raw[0] not in (ED25519, COSIGNATURE_V1):
            raise LogError("verifier key: expected Ed25519")
        key = cls(name, raw[0], raw[1:])
        if not _NAME.fullmatch(name) or key_hash != key.key_id.hex():
            raise LogError("verifier key: its hash does not belong to its name and key")
        return key

    def format(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.key_type]) + self.public).decode()}"

    @property
    def key_id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([self.key_type]) + self.public
        return sha256(named).digest()[:4]

    def renamed(self, name: str) -> "NoteKey":
        """The same key under another name: a log's key signs each of its periods (WIRE C6)."""
        return NoteKey(name, self.key_type, self.public)


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes
    value: bytes

    def format(self) -> str:
        return f"— {self.name} {b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    text: str
    signatures: tuple[Signature, ...]

    def format(self) -> str:
        return self.text + "\n" + "".join(signature.format() for signature in self.signatures)

    def with_signatures(self, more: Iterable[Signature]) -> "UnverifiedNote":
        return UnverifiedNote(self.text, (*self.signatures, *more))


def parse(note: str) -> UnverifiedNote:
    """Reads the form. Raises LogError."""
    if len(note) > MAX_NOTE_BYTES:
        raise LogError(f"note: more than {MAX_NOTE_BYTES} characters")
    if _CONTROL.search(note):
        raise LogError("note: control characters")
    text, separator, block = note.rpartition("\n\n")
    if not separator or not text or not block.endswith("\n"):
        raise LogError("note: text, empty line and signature lines are expected")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise LogError(f"note: more than {MAX_SIGNATURES} signatures")
    return UnverifiedNote(text + "\n", tuple(map(parse_signature, lines)))


def parse_signature(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None or not _NAME.fullmatch(match[1]):
        raise LogError("note: a signature line is not of the form — NAME BASE64")
    raw = decode_base64(match[2], what="note: a signature")
    if len(raw) < 5:
        raise LogError("note: a signature is too short")
    return Signature(match[1], raw[:4], raw[4:])


def sign(text: str, name: str, public: bytes, signer: NoteSigner) -> Signature:
    """The signature line's content for ``text``, which ends with a newline."""
    if not text.endswith("\n") or not _NAME.fullmatch(name):
        raise LogError("note: the text ends with a newline and the name has neither space nor plus")
    return Signature(name, NoteKey(name, ED25519, public).key_id, signer.sign(text.encode()))


def cosign(text: str, name: str, public: bytes, signer: NoteSigner, *, now: int) -> Signature:
    """A cosignature/v1: the witness says that it saw this checkpoint by ``now``."""
    key_id = NoteKey(name, COSIGNATURE_V1, public).key_id
    return Signature(name, key_id, now.to_bytes(8, "big") + signer.sign(_cosigned(text, now)))


def verify(note: UnverifiedNote, key: NoteKey) -> None:
    """Raises LogError unless the key of this name signed the text; one wrong signature of its makes it malformed."""
    signatures = _of(note, key)
    for signature in signatures:
        _check(key, signature.value, note.text.encode())
    if not signatures:
        raise LogError("note: not signed by the expected key")


def verify_cosignature(note: UnverifiedNote, key: NoteKey) -> int | None:
    """The witness's time, or None where it has not cosigned. Raises LogError where it is wrong."""
    for signature in _of(note, key):
        if len(signature.value) != 8 + ed25519.SIGNATURE_BYTES:
            raise LogError("note: a cosignature has not the length of its kind")
        time = int.from_bytes(signature.value[:8], "big")
        _check(key, signature.value[8:], _cosigned(note.text, time))
        return time
    return None


def decode_base64(text: str, *, what: str) -> bytes:
    """Standard base64 with padding, canonical. Raises LogError."""
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise LogError(f"{what}: not base64") from None
    if b64encode(raw).decode() != text:
        raise LogError(f"{what}: base64 is not canonical")
    return raw


def _of(note: UnverifiedNote, key: NoteKey) -> list[Signature]:
    return [one for one in note.signatures if one.name == key.name and one.key_id == key.key_id]


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _check(key: NoteKey, signature: bytes, data: bytes) -> None:
    try:
        ed25519.verify(key.public, signature, data)
    except IdentityError:
        raise LogError("note: the signature is wrong") from None
