"""Who takes part in the sandbox city, and the signed list that says so (WIRE C12).

The list's key lies in ``DATA/registry`` and is read here alone: no service can list itself.
"""

import json
import time
from pathlib import Path
from typing import Any

from identity.trust.registry import sign_registry

from atorga.town import pki
from atorga.town.folder import TownFolder, write_private
from consent.log.note import ED25519, NoteKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner

REGISTRY = "urn:atorga:party:registry"
ISSUER = "urn:atorga:party:bcn"
CONSENT = "urn:atorga:party:consent"
HOLDER = "urn:atorga:party:hacienda"
SERVICE = "urn:atorga:party:social-services"
PORTAL = "urn:atorga:party:portal"
VERIFIER = "urn:atorga:party:verifier"
WITNESS = "urn:atorga:party:witness"

SHORT_NAMES = {
    ISSUER: "bcn", CONSENT: "consent", HOLDER: "hacienda", SERVICE: "social-services", PORTAL: "portal",
    VERIFIER: "verifier", WITNESS: "witness",
}  # fmt: skip

VCTS = ["urn:atorga:person-id:1", "urn:atorga:residency:1", "urn:atorga:pairwise:1"]

DAY_SECONDS = 86_400
LIST_SECONDS = 7 * DAY_SECONDS
"""A list that nobody renews for a week refuses everything: better than one that nobody can take back."""

PARTY_SECONDS = 365 * DAY_SECONDS

_NAMES: dict[str, dict[str, str]] = {
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


def make_keys(folder: TownFolder) -> None:
    """A signing key for each party."""
    for name in SHORT_NAMES.values():
        write_private(folder.key(name), SoftwareSigner.generate().to_pem())


def party_signer(folder: TownFolder, party: str) -> SoftwareSigner:
    return SoftwareSigner.from_pem(folder.key(SHORT_NAMES[party]).read_bytes())


def log_vkey(folder: TownFolder) -> str:
    seed = bytes.fromhex(folder.key("log-seed").read_text(encoding="ascii").strip())
    return NoteKey(folder.log_origin, ED25519, Ed25519Signer(seed).public).format()


def witness_vkey(folder: TownFolder) -> str:
    """The witness's cosigning key (C2SP tlog-cosignature: type 0x04)."""
    from consent.log.note import COSIGNATURE_V1

    seed = bytes.fromhex(folder.key("witness-seed").read_text(encoding="ascii").strip())
    return NoteKey(f"localhost:{folder.port('witness')}/witness", COSIGNATURE_V1, Ed25519Signer(seed).public).format()


def sign_list(folder: TownFolder, *, now: int) -> None:
    """Writes the next version of the list. The version is the number of lists ever signed here."""
    counter = folder.registry_list.with_name("version")
    version = int(counter.read_text(encoding="ascii")) + 1 if counter.exists() else 1
    claims = {"iss": REGISTRY, "version": version, "iat": now, "exp": now + LIST_SECONDS, "parties": _parties(folder)}
    signer, chain = pki.registry_signer(folder.pki)
    signed = sign_registry(claims, signer, chain)
    # The number first: a list must never carry a version that was used before.
    write_private(counter, f"{version}\n")
    write_private(folder.registry_list, signed)


def _parties(folder: TownFolder) -> list[dict[str, Any]]:
    certificates = pki.certificate_hashes(folder.pki)
    made = json.loads((folder.root / "town.json").read_text(encoding="utf-8")).get("made_at", int(time.time()))
    url = folder.url

    def entry(party: str, roles: list[str], endpoints: dict[str, str], **more: Any) -> dict[str, Any]:
        return {
            "id": party,
            "roles": roles,
            "name": _NAMES[party],
            "legal_entity": _ENTITY,
            "contact": "mailto:nobody@localhost.invalid",
            "territory": "ES-CT",
            "from": made - DAY_SECONDS,
            "to": made + PARTY_SECONDS,
            "jwk": party_signer(folder, party).public_key.jwk(),
            "x5t#S256": certificates.get(SHORT_NAMES[party], []),
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
        entry(SERVICE, ["service"], {"withdrawals": f"{portal}/withdrawals"}),
        entry(PORTAL, ["verifier"], {}),
        entry(VERIFIER, ["verifier"], {}),
        entry(WITNESS, ["witness"], {}, log_vkey=witness_vkey(folder)),
    ]  # fmt: skip


def seeds(folder: TownFolder, random_bytes: "list[bytes]") -> None:
    """Ed25519 seeds of log and witness, as hex in files only their service reads."""
    for name, seed in zip(("log-seed", "witness-seed"), random_bytes, strict=True):
        write_private(folder.key(name), seed.hex() + "\n")


def anchors_file(folder: TownFolder) -> Path:
    return folder.pki / "registry-root.pem"
