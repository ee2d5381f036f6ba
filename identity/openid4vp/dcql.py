"""The Digital Credentials Query Language (OpenID4VP 1.0 section 6): reading and writing a query.

Unknown members are ignored, as section 6 asks; what we do know must be as it says. A query for a
format that we do not hold is read, so that an alternative of it can still be answered.
Not done, on purpose: presentations without holder binding (section 5.3): such a query is read, and
answered with a proof all the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.codec.members import boolean, mapping, text, texts
from identity.errors import EncodingError, ProtocolError, SdJwtError
from identity.formats.sd_jwt import claim_path
from identity.formats.sd_jwt.claim_path import ClaimPath
from identity.formats.sd_jwt_vc.spec import FORMAT as SD_JWT_VC
from identity.openid4vp.spec import DCQL_QUERY, INVALID_REQUEST

WHAT = DCQL_QUERY

MAX_CREDENTIALS = 16
"""Nobody could judge on a screen what asks for more; also bounds the work of matching."""

MAX_CLAIMS = 64
"""The widest credential type of ours has about ten claims; a shard of identifiers is asked for one."""

MAX_PATH = 16
MAX_VALUES = 64
MAX_SETS = 16
MAX_TEXT = 512

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class ClaimsQuery:
    """Section 6.3."""

    id: str | None
    path: ClaimPath
    values: tuple[Value, ...] | None
    """None: any value will do."""


@dataclass(frozen=True, slots=True)
class TrustedAuthorities:
    """Section 6.1.1."""

    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CredentialQuery:
    """Section 6.1."""

    id: str
    format: str
    meta: Mapping[str, Any]
    claims: tuple[ClaimsQuery, ...] = ()
    claim_sets: tuple[tuple[str, ...], ...] = ()
    multiple: bool = False
    trusted_authorities: tuple[TrustedAuthorities, ...] = ()
    require_cryptographic_holder_binding: bool = True

    @property
    def vct_values(self) -> tuple[str, ...]:
        """The types asked for (section B.3.5); empty for another format."""
        return tuple(self.meta["vct_values"]) if self.format == SD_JWT_VC else ()

    def alternatives(self) -> tuple[tuple[ClaimsQuery, ...], ...]:
        """The combinations of claims that will do, the verifier's first choice first (section 6.4.1)."""
        if not self.claim_sets:
            return (self.claims,)
        by_id = {claim.id: claim for claim in self.claims}
        return tuple(tuple(by_id[name] for name in option) for option in self.claim_sets)


@dataclass(frozen=True, slots=True)
class CredentialSetQuery:
    """Section 6.2."""

    options: tuple[tuple[str, ...], ...]
    required: bool = True


@dataclass(frozen=True, slots=True)
class DcqlQuery:
    credentials: tuple[CredentialQuery, ...]
    credential_sets: tuple[CredentialSetQuery, ...] = ()

    def credential(self, query_id: str) -> CredentialQuery | None:
        return next((one for one in self.credentials if one.id == query_id), None)


def parse(obj: Any) -> DcqlQuery:
    """Raises ProtocolError ``invalid_request``."""
    try:
        return _query(obj)
    except (EncodingError, SdJwtError) as fault:
        raise ProtocolError(INVALID_REQUEST, str(fault)) from None


def format(query: DcqlQuery) -> dict[str, Any]:
    """The JSON form; members at their default are left out."""
    obj: dict[str, Any] = {"credentials": [_format_credential(one) for one in query.credentials]}
    if query.credential_sets:
        obj["credential_sets"] = [
            {"options": [list(option) for option in one.options], **({} if one.required else {"required": False})}
            for one in query.credential_sets
        ]
    return obj


def _query(obj: Any) -> DcqlQuery:
    if not isinstance(obj, dict):
        raise EncodingError(f"{WHAT}: must be an object")
    credentials = tuple(_credential(one) for one in _objects(obj, "credentials", WHAT, MAX_CREDENTIALS))
    ids = [one.id for one in credentials]
    if len(set(ids)) != len(ids):
        raise EncodingError(f"{WHAT}: two credential queries have the same id")
    sets: tuple[CredentialSetQuery, ...] = ()
    if "credential_sets" in obj:
        sets = tuple(_set(one, frozenset(ids)) for one in _objects(obj, "credential_sets", WHAT, MAX_SETS))
    return DcqlQuery(credentials, sets)


def _credential(obj: dict[str, Any]) -> CredentialQuery:
    query_id = _id(obj, f"{WHAT}: credential query")
    what = f"{WHAT}: {query_id}"
    credential_format = text(obj, "format", what=what, max_length=MAX_TEXT)
    meta = mapping(obj, "meta", what=what)
    if credential_format == SD_JWT_VC:
        # Section B.3.5: REQUIRED for this format.
        texts(meta, "vct_values", what=what, max_count=MAX_VALUES, max_length=MAX_TEXT)
    claims: tuple[ClaimsQuery, ...] = ()
    if "claims" in obj:
        claims = tuple(_claim(one, what) for one in _objects(obj, "claims", what, MAX_CLAIMS))
        if len({claim.path for claim in claims}) != len(claims):
            raise EncodingError(f"{what}: points to the same claim twice")
    return CredentialQuery(
        id=query_id,
        format=credential_format,
        meta=meta,
        claims=claims,
        claim_sets=_claim_sets(obj, claims, what),
        multiple=boolean(obj, "multiple", what=what) if "multiple" in obj else False,
        trusted_authorities=(
            tuple(_authorities(one, what) for one in _objects(obj, "trusted_authorities", what, MAX_VALUES))
            if "trusted_authorities" in obj
            else ()
        ),
        require_cryptographic_holder_binding=(
            boolean(obj, "require_cryptographic_holder_binding", what=what)
            if "require_cryptographic_holder_binding" in obj
            else True
        ),
    )


def _claim(obj: dict[str, Any], what: str) -> ClaimsQuery:
    path = obj.get("path")
    if not isinstance(path, list) or len(path) > MAX_PATH:
        raise EncodingError(f"{what}: 'path' must be a list of at most {MAX_PATH} components")
    claim_path.check(tuple(path))
    values = obj.get("values")
    if "values" in obj:
        if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
            raise EncodingError(f"{what}: 'values' must be a list of 1 to {MAX_VALUES}")
        if not all(isinstance(value, str | int) for value in values):  # a bool is an int
            raise EncodingError(f"{what}: 'values' must hold texts, integers or booleans")
    return ClaimsQuery(
        id=_id(obj, what) if "id" in obj else None,
        path=tuple(path),
        values=None if values is None else tuple(values),
    )


def _claim_sets(obj: dict[str, Any], claims: tuple[ClaimsQuery, ...], what: str) -> tuple[tuple[str, ...], ...]:
    names = [claim.id for claim in claims if claim.id is not None]
    if len(set(names)) != len(names):
        raise EncodingError(f"{what}: two claims have the same id")
    if "claim_sets" not in obj:
        return ()
    # Section 6.4.1: not without claims, each of which then has an id (section 6.3).
    if len(names) != len(claims) or not claims:
        raise EncodingError(f"{what}: with 'claim_sets' there must be claims and each needs an id")
    return _lists_of_ids(obj, "claim_sets", frozenset(names), what)


def _authorities(obj: dict[str, Any], what: str) -> TrustedAuthorities:
    return TrustedAuthorities(
        type=text(obj, "type", what=what, max_length=MAX_TEXT),
        values=texts(obj, "values", what=what, max_count=MAX_VALUES, max_length=MAX_TEXT),
    )


def _set(obj: dict[str, Any], ids: frozenset[str]) -> CredentialSetQuery:
    what = f"{WHAT}: credential set"
    return CredentialSetQuery(
        options=_lists_of_ids(obj, "options", ids, what),
        required=boolean(obj, "required", what=what) if "required" in obj else True,
    )


def _lists_of_ids(obj: dict[str, Any], name: str, known: frozenset[str], what: str) -> tuple[tuple[str, ...], ...]:
    options = obj.get(name)
    if not isinstance(options, list) or not 1 <= len(options) <= MAX_SETS:
        raise EncodingError(f"{what}: {name!r} must be a list of 1 to {MAX_SETS} lists")
    found = tuple(texts({name: option}, name, what=what, max_count=MAX_CLAIMS) for option in options)
    if not all(known.issuperset(option) for option in found):
        raise EncodingError(f"{what}: {name!r} names an id that is not there")
    return found


def _objects(obj: Mapping[str, Any], name: str, what: str, max_count: int) -> list[dict[str, Any]]:
    found = obj.get(name)
    if not isinstance(found, list) or not 1 <= len(found) <= max_count:
        raise EncodingError(f"{what}: {name!r} must be a list of 1 to {max_count} objects")
    if not all(isinstance(one, dict) for one in found):
        raise EncodingError(f"{what}: {name!r} must hold objects")
    return found


def _id(obj: Mapping[str, Any], what: str) -> str:
    found = text(obj, "id", what=what, max_length=128)
    if not _ID.match(found):
        raise EncodingError(f"{what}: 'id' must be letters, digits, '_' and '-'")
    return found


def _format_credential(query: CredentialQuery) -> dict[str, Any]:
    obj: dict[str, Any] = {"id": query.id, "format": query.format, "meta": dict(query.meta)}
    if query.multiple:
        obj["multiple"] = True
    if query.trusted_authorities:
        obj["trusted_authorities"] = [
            {"type": one.type, "values": list(one.values)} for one in query.trusted_authorities
        ]
    if not query.require_cryptographic_holder_binding:
        obj["require_cryptographic_holder_binding"] = False
    if query.claims:
        obj["claims"] = [_format_claim(claim) for claim in query.claims]
    if query.claim_sets:
        obj["claim_sets"] = [list(option) for option in query.claim_sets]
    return obj


def _format_claim(claim: ClaimsQuery) -> dict[str, Any]:
    obj: dict[str, Any] = {} if claim.id is None else {"id": claim.id}
    obj["path"] = list(claim.path)
    if claim.values is not None:
        obj["values"] = list(claim.values)
    return obj
