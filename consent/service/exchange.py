"""One HTTP exchange: what was asked, read within limits, and what is answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from consent import spec
from consent.errors import MessageError
from consent.service.callers import Call
from consent.signed_message import reading
from identity.codec import strict_json

MAX_BODY_BYTES = 65_536
"""WIRE: bodies are at most 64 KiB."""

MAX_QUERY = 1_024
"""Characters; no query of ours has more than one short member."""


class BodyTooLarge(Exception):
    """The body is longer than what is read."""


class MediaTypeRefused(Exception):
    """The body is of another media type."""


@dataclass(frozen=True, slots=True)
class Exchange:
    call: Call
    path: Mapping[str, str]
    query: Mapping[str, str]
    languages: tuple[str, ...]
    """The reader's, best first."""
    address: str
    """Of the other end of the connection."""

    def object(self, what: str) -> dict[str, Any]:
        """The body as one JSON object. Raises MessageError."""
        with reading(what):
            return strict_json.parse_object(self.call.body, what=what, max_bytes=MAX_BODY_BYTES)

    def object_or_nothing(self, what: str) -> dict[str, Any]:
        """The same; an absent body is an empty object."""
        return self.object(what) if self.call.body else {}

    def jws(self, what: str) -> str:
        """The body as a JWS in its compact form. Raises MessageError."""
        try:
            return self.call.body.decode("ascii")
        except UnicodeDecodeError:
            raise MessageError(f"{what}: not ASCII") from None

    def after(self) -> int:
        """The leaf index behind which a page begins; -1 = from the beginning. Raises MessageError."""
        if not self.query:
            return -1
        text = self.query.get("after", "")
        if self.query.keys() != {"after"} or not text.isascii() or not text.isdecimal() or len(text) > 15:
            raise MessageError("query: only after=LEAF_INDEX is expected")
        return int(text)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(status: int, value: Mapping[str, Any], media_type: str = spec.MEDIA_JSON) -> Reply:
    return Reply(status, strict_json.compact(value), media_type)


def jws_reply(status: int, compact: str) -> Reply:
    return Reply(status, compact.encode("ascii"), spec.MEDIA_JWT)


def fault_reply(status: int, code: str, description: str = "", **more: Any) -> Reply:
    value = {"error": code} | ({"error_description": description} if description else {})
    return json_reply(status, value | more)


async def read_exchange(request: Request, *, media_type: str | None, body_optional: bool) -> Exchange:
    """Raises BodyTooLarge as soon as there is too much, MediaTypeRefused, MessageError.

    ``media_type``: of the body this address takes; None = it takes none, and one that is sent is
    read only to be covered by the caller's proof.
    """
    headers = _Headers.of(request.scope["headers"])
    found = headers.content_type.partition(";")[0].strip().lower()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    if media_type is not None and found != media_type and (body or not body_optional):
        raise MediaTypeRefused(media_type)
    return Exchange(
        call=Call(
            method=request.method,
            path=request.scope["path"],
            body=bytes(body),
            proof=headers.proof,
        ),
        path=request.path_params,
        query=_query(request),
        languages=_languages(headers.accept_language),
        address=request.client.host if request.client else "",
    )


@dataclass(frozen=True, slots=True)
class _Headers:
    """The three that matter, found in one pass: a look-up of each would read all of them three times."""

    content_type: str
    accept_language: str
    proof: str | None
    """The one that is there; of two, none counts."""

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> "_Headers":
        content_type = accept_language = b""
        proofs = []
        for name, value in headers:
            if name == _PROOF:
                proofs.append(value)
            elif name == b"content-type":
                content_type = content_type or value
            elif name == b"accept-language":
                accept_language = accept_language or value
        return cls(
            content_type.decode("latin-1"),
            accept_language.decode("latin-1"),
            proofs[0].decode("latin-1") if len(proofs) == 1 else None,
        )


_PROOF = spec.REQUEST_PROOF_HEADER.lower().encode("latin-1")


def _query(request: Request) -> dict[str, str]:
    if not request.scope["query_string"]:
        return {}
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(request.url.query) > MAX_QUERY or len(query) != len(pairs):
        raise MessageError("query: too long, or a member stands there twice")
    return query


def _languages(header: str) -> tuple[str, ...]:
    """RFC 9110 section 12.5.4, in the order given: weights are rare and decide nothing here."""
    if not header:
        return ()
    tags = [part.partition(";")[0].strip().lower() for part in header[:256].split(",")]
    return tuple(dict.fromkeys(tag.partition("-")[0] for tag in tags if tag and tag != "*"))
