"""Who takes part in the sandbox city, and the signed list that says so (WIRE C12).

The list's key lies in ``DATA/registry`` and is read here alone: no service can list itself.
"""

import json
from pathlib import Path
from typing import Any

from atorga.town.folder import TownFolder, write_private
from atorga.town.pki import REGISTRY as REGISTRY_ROOT
from atorga.town.pki import Signing, TownPki
from consent.log.note import COSIGNATURE_V1, ED25519, NoteKey
from identity.keys.ed25519 import SEED_BYTES, Ed25519Signer
from identity.keys.signer import SoftwareSigner
from identity.randomness import Random
from identity.trust import spec
from identity.trust.bases import sign_bases
from identity.trust.registry import sign_registry

REGISTRY = "urn:atorga:party:registry"
ISSUER = "urn:atorga:party:bcn"
CONSENT = "urn:atorga:party:consent"
HOLDER = "urn:atorga:party:hacienda"
SERVICE = "urn:atorga:party:social-services"
PORTAL = "urn:atorga:party:portal"
VERIFIER = "urn:atorga:party:verifier"
WITNESS = "urn:atorga:party:witness"

SHORTNAMES = {
    ISSUER: "bcn", CONSENT: "consent", HOLDER: "hacienda", SERVICE: "social-services", PORTAL: "portal",
    VERIFIER: "verifier", WITNESS: "witness",
}  # fmt: skip

VCTS = ["urn:atorga:person-id:1", "urn:atorga:residency:1", "urn:atorga:pairwise:1"]

LOG_SEED, WITNESS_SEED = "log.seed", "witness.seed"

APPROVED = "approved.json"
"""A list of bases (ADR 0009, D2), by whoever approves them in this city."""

DAY_SECONDS = 86_400
LIST_SECONDS = 7 * DAY_SECONDS
"""A list that nobody renews for a week refuses everything: better than one that nobody can take back."""

PARTY_SECONDS = 365 * DAY_SECONDS

NAMES: dict[str, dict[str, str]] = {
    ISSUER: {
        "es": "Ayuntamiento de Barcelona (simulado)",
        "ca": "Ajuntament de Barcelona (simulat)",
        "en": "Barcelona City Council (simulated)",
    },
    CONSENT: {"es": "Servicio de permisos", "ca": "Servei de permisos", "en": "Consent service"},
    HOLDER: {
        "es": "Hacienda municipal (simulada)",
        "ca": "Hisenda municipal (simulada)",
        "en": "Municipal tax office (simulated)",
    },
    SERVICE: {
        "es": "Servicios Sociales: ayuda al alquiler (simulado)",
        "ca": "Serveis Socials: ajut al lloguer (simulat)",
        "en": "Social Services: rent subsidy (simulated)",
    },
    PORTAL: {
        "es": "Portal municipal (simulado)",
        "ca": "Portal municipal (simulat)",
        "en": "Municipal portal (simulated)",
    },
    VERIFIER: {
        "es": "Verificador de pruebas (simulado)",
        "ca": "Verificador de proves (simulat)",
        "en": "Test verifier (simulated)",
    },
    WITNESS: {"es": "Testigo del registro", "ca": "Testimoni del registre", "en": "Witness of the log"},
}
_ENTITY = "Sandbox city, no legal entity"
_OTHER_ENTITY = "Sandbox association, no legal entity"
"""Of the witness: only another legal body's counts (DESIGN section 8). On one machine both are played."""


def make_keys(folder: TownFolder, *, random: Random) -> None:
    """A signing key for each party, and the seeds of log and witness; each file is read by its own service."""
    for party in SHORTNAMES:
        write_private(folder.party_key(party), SoftwareSigner.generate().to_pem())
    for name in (LOG_SEED, WITNESS_SEED):
        write_private(folder.key_file(name), random(SEED_BYTES).hex() + "\n")


def party_signer(folder: TownFolder, party: str) -> SoftwareSigner:
    return SoftwareSigner.from_pem(folder.party_key(party).read_bytes())


def log_vkey(folder: TownFolder) -> str:
    return NoteKey(folder.log_origin, ED25519, _seeded(folder, LOG_SEED).public).format()


def witness_vkey(folder: TownFolder) -> str:
    """The witness's cosigning key (C2SP tlog-cosignature: type 0x04)."""
    return NoteKey(folder.witness_name, COSIGNATURE_V1, _seeded(folder, WITNESS_SEED).public).format()


def _seeded(folder: TownFolder, name: str) -> Ed25519Signer:
    return Ed25519Signer.from_hex(folder.key_file(name).read_text(encoding="ascii").strip())


def sign_list(folder: TownFolder, pki: TownPki, *, now: int) -> None:
    """Writes the next version of the list. Versions only rise, whatever happens between the two writes."""
    counter = folder.registry_list.with_name("version")
    version = int(counter.read_text(encoding="ascii")) + 1 if counter.exists() else 1
    claims = {
        "iss": REGISTRY, "version": version, "iat": now, "exp": now + LIST_SECONDS,
        "parties": _parties(folder, pki, now=now),
    }  # fmt: skip
    signing = pki.registry_signer(folder.registry_list.parent)
    signed = sign_registry(claims, signing.signer(), signing.chain())
    # The number first: a list must never carry a version that was used before.
    write_private(counter, f"{version}\n")
    write_private(folder.registry_list.with_name(spec.BASES_FILE), _signed_bases(folder, signing, version, now=now))
    write_private(folder.registry_list, signed)


def _signed_bases(folder: TownFolder, signing: Signing, version: int, *, now: int) -> str:
    """What ``approved.json`` beside the list approves: nothing, until somebody writes it."""
    approved = folder.registry_list.with_name(APPROVED)
    bases = json.loads(approved.read_text(encoding="utf-8")) if approved.exists() else []
    claims = {"iss": REGISTRY, "version": version, "iat": now, "exp": now + LIST_SECONDS, "bases": bases}
    return sign_bases(claims, signing.signer(), signing.chain())


def _parties(folder: TownFolder, pki: TownPki, *, now: int) -> list[dict[str, Any]]:
    url = folder.url
    certificates = {
        ISSUER: [issuer_signing(folder, pki).x5t, status_signing(folder, pki).x5t],
        **{party: [access_signing(pki, party).x5t] for party in (CONSENT, PORTAL, VERIFIER)},
    }

    def entry(party: str, roles: list[str], endpoints: dict[str, str], **more: Any) -> dict[str, Any]:
        return {
            "id": party,
            "roles": roles,
            "name": NAMES[party],
            "legal_entity": _OTHER_ENTITY if party == WITNESS else _ENTITY,
            "contact": "mailto:nobody@localhost.invalid",
            "territory": "ES-CT",
            "from": now - DAY_SECONDS,
            "to": now + PARTY_SECONDS,
            "jwk": party_signer(folder, party).public_key.jwk(),
            "x5t#S256": certificates.get(party, []),
            "endpoints": endpoints,
            **more,
        }

    holder, portal = url("holder"), url("portal")
    return [
        entry(
            ISSUER, ["issuer", "status"], {},
            issuer=folder.issuer, vcts=VCTS, status_prefixes=[f"{folder.issuer}/status/"],
        ),
        entry(
            CONSENT, ["consent", "log", "verifier"],
            {"consent": url("consent"), "withdrawals": f"{url('consent')}/withdrawals"},
            log_vkey=log_vkey(folder),
        ),
        entry(
            HOLDER, ["holder"],
            {"links": f"{holder}/links", "journal": f"{holder}/journal", "data": f"{holder}/data",
             "withdrawals": f"{holder}/withdrawals"},
        ),
        entry(SERVICE, ["service"], {"withdrawals": f"{portal}/withdrawals", "feed": f"{portal}/feed"}),
        entry(PORTAL, ["verifier"], {}),
        entry(VERIFIER, ["verifier"], {}),
        entry(WITNESS, ["witness"], {}, log_vkey=witness_vkey(folder)),
    ]  # fmt: skip


def issuer_signing(folder: TownFolder, pki: TownPki) -> Signing:
    return pki.issuer_signer(SHORTNAMES[ISSUER], issuer=folder.issuer)


def status_signing(folder: TownFolder, pki: TownPki) -> Signing:
    return pki.status_signer(SHORTNAMES[ISSUER], issuer=folder.issuer)


def access_signing(pki: TownPki, party: str) -> Signing:
    return pki.access_certificate(SHORTNAMES[party])


def registry_anchors(pki: TownPki) -> Path:
    """The root that signs who signs the list."""
    return pki.root(REGISTRY_ROOT).certificates
