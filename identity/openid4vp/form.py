"""``application/x-www-form-urlencoded`` bodies and queries, read strictly (WHATWG URL section 5, UTF-8).

A field that stands twice has two readers who disagree; it is refused, known or not.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes, urlencode

from identity.errors import ProtocolError
from identity.openid4vp.spec import INVALID_REQUEST

MAX_FIELDS = 32
"""Twice as many as any message of the specification has."""

_ENCODED = re.compile(rb"(?:[^%\x00-\x20\x7f-\xff]|%[0-9A-Fa-f]{2})*\Z")


def parse(body: bytes, *, what: str, max_bytes: int) -> dict[str, str]:
    """Field → value. Raises ProtocolError ``invalid_request``, which never quotes the body."""
    if len(body) > max_bytes:
        raise ProtocolError(INVALID_REQUEST, f"{what}: {len(body)} bytes, at most {max_bytes} are read")
    fields: dict[str, str] = {}
    entries = body.split(b"&") if body else []
    if len(entries) > MAX_FIELDS:
        raise ProtocolError(INVALID_REQUEST, f"{what}: more than {MAX_FIELDS} fields")
    for entry in entries:
        name, separator, value = entry.partition(b"=")
        if not separator or not name:
            raise ProtocolError(INVALID_REQUEST, f"{what}: a part is not of the form name=value")
        decoded = _decoded(name, what)
        if decoded in fields:
            raise ProtocolError(INVALID_REQUEST, f"{what}: a field is there twice")
        fields[decoded] = _decoded(value, what)
    return fields


def format(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode("ascii")


def _decoded(raw: bytes, what: str) -> str:
    if not _ENCODED.match(raw):
        raise ProtocolError(INVALID_REQUEST, f"{what}: is not percent-encoded as it should be")
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError(INVALID_REQUEST, f"{what}: is not UTF-8") from None
