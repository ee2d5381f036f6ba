"""Credential types as data: the TOML files in ``types/``, one a type.

A type says which claims it has, where they come from, what they are called in each language, which
can be disclosed one by one, how long a copy lives, how coarse its times are, whether it has a status,
and how sure the issuer must be of the person.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, cast

from identity.codec.members import boolean, exact_members, integer, mapping, text
from identity.errors import CredentialError, EncodingError
from identity.formats.sd_jwt.claim_path import ClaimPath
from identity.issuer.person import ASSURANCE
from identity.openid4vci import metadata
from identity.openid4vci.spec import PROOF_ALGORITHMS, SD_JWT_VC

LANGUAGES = ("es", "ca", "en", "eu", "gl")
"""Each text of a type stands in all of them (DESIGN section 5)."""

Source = Literal["person", "register", "pairwise", "mandate"]
SOURCES = ("person", "register", "pairwise", "mandate")
"""The card or the row itself; what a register says of the person; identifiers made for each organisation; what a
register says that a person may do for another, with that other's identifiers.
"""

WITH_REGISTER = ("register", "mandate")

MAX_LIFETIME_SECONDS = 7 * 86_400
"""Longer, and a copy that nobody can revoke any more would be good for weeks; wallets refill (DESIGN section 4)."""

MIN_ROUNDING_SECONDS = 3_600
"""Everybody who was issued to within the hour shares its times."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClaimDescription:
    path: ClaimPath
    required: bool
    """Without it there is no credential."""
    disclosable: bool
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CredentialType:
    name: str
    vct: str
    source: Source
    register: str | None
    assurance: str
    lifetime_seconds: int
    rounding_seconds: int
    has_status: bool
    configuration: str
    """Of the format dc+sd-jwt, the only one yet."""
    scope: str
    names: Mapping[str, str]
    claims: tuple[ClaimDescription, ...]

    def metadata(self) -> dict[str, Any]:
        """The entry in ``credential_configurations_supported`` (OpenID4VCI 1.0 section 12.2.4, appendix A.3.2)."""
        return {
            "format": SD_JWT_VC,
            "vct": self.vct,
            "scope": self.scope,
            "cryptographic_binding_methods_supported": ["jwk"],
            "credential_signing_alg_values_supported": ["ES256"],
            "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": sorted(PROOF_ALGORITHMS)}},
            "credential_metadata": {
                "display": metadata.display(self.names),
                "claims": [
                    {"path": list(claim.path), "mandatory": claim.required, "display": metadata.display(claim.names)}
                    for claim in self.claims
                ],
            },
        }


def bundled(names: Sequence[str]) -> dict[str, CredentialType]:
    """Types that ship with this package, by their names. Raises CredentialError."""
    found = {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise CredentialError("credential type: a name has a-z, 0-9 and -")
        try:
            content = (files("identity.issuer") / "types" / f"{name}.toml").read_text("utf-8")
        except FileNotFoundError:
            raise CredentialError(f"credential type: there is none named {name!r}") from None
        found[name] = read(content, name)
    return found


def read(content: str, name: str) -> CredentialType:
    """Raises CredentialError with the sentence that whoever wrote the file needs."""
    what = f"credential type {name!r}"
    try:
        return _type(tomllib.loads(content), name, what)
    except (tomllib.TOMLDecodeError, EncodingError) as fault:
        detail = str(fault)
        raise CredentialError(detail if detail.startswith(what) else f"{what}: {detail}") from None


def _type(table: Mapping[str, Any], name: str, what: str) -> CredentialType:
    exact_members(
        table,
        what=what,
        required={
            "vct", "source", "assurance", "lifetime_seconds", "rounding_seconds", "status", "formats", "display",
            "claims",
        },
        optional={"register"},
    )  # fmt: skip
    source = text(table, "source", what=what)
    register = text(table, "register", what=what) if "register" in table else None
    if source not in SOURCES or (source in WITH_REGISTER) != (register is not None):
        raise EncodingError(f"{what}: source is person, pairwise, or register or mandate with the name of a register")
    assurance = text(table, "assurance", what=what)
    if assurance not in ASSURANCE:
        raise EncodingError(f"{what}: assurance is one of {', '.join(ASSURANCE)}")
    lifetime = integer(table, "lifetime_seconds", what=what, minimum=2, maximum=MAX_LIFETIME_SECONDS)
    rounding = integer(table, "rounding_seconds", what=what, minimum=MIN_ROUNDING_SECONDS, maximum=86_400)
    if rounding * 2 > lifetime:
        raise EncodingError(f"{what}: rounding_seconds takes more than half of a copy's life")
    formats = mapping(table, "formats", what=what)
    exact_members(formats, what=f"{what}: formats", required={SD_JWT_VC})
    entry = mapping(formats, SD_JWT_VC, what=what)
    exact_members(entry, what=f"{what}: {SD_JWT_VC}", required={"configuration", "scope"})
    claims = table["claims"]
    if not isinstance(claims, list) or not claims:
        raise EncodingError(f"{what}: claims must be a list of tables")
    return CredentialType(
        name=name,
        vct=text(table, "vct", what=what),
        source=cast("Source", source),
        register=register,
        assurance=assurance,
        lifetime_seconds=lifetime,
        rounding_seconds=rounding,
        has_status=boolean(table, "status", what=what),
        configuration=text(entry, "configuration", what=what, max_length=64),
        scope=text(entry, "scope", what=what, max_length=64),
        names=_names(table, what),
        claims=tuple(_claim(claim, what) for claim in claims),
    )


def _claim(table: object, what: str) -> ClaimDescription:
    if not isinstance(table, dict):
        raise EncodingError(f"{what}: claims must be a list of tables")
    exact_members(table, what=f"{what}: claim", required={"path", "display"}, optional={"required", "disclosable"})
    path = table["path"]
    if not isinstance(path, list) or not path or not all(isinstance(part, str) and part for part in path):
        raise EncodingError(f"{what}: the path of a claim is a list of names")
    return ClaimDescription(
        path=tuple(path),
        required=boolean(table, "required", what=what) if "required" in table else True,
        disclosable=boolean(table, "disclosable", what=what) if "disclosable" in table else True,
        names=_names(table, f"{what}: claim {path[-1]!r}"),
    )


def _names(table: Mapping[str, Any], what: str) -> dict[str, str]:
    names = mapping(table, "display", what=what)
    exact_members(names, what=f"{what}: display", required=set(LANGUAGES))
    return {language: text(names, language, what=what, max_length=200) for language in LANGUAGES}
