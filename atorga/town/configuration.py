"""The services' configuration files, and the files they name: written once, when the city is made."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atorga.town import parties, toml_text
from atorga.town.card_pki import CardPki
from atorga.town.folder import OFFSETS, TENANT, TownFolder, write_private
from atorga.town.pki import ISSUERS, TownPki
from atorga.town.population import DEMO_ROW, padron_file, register_file, settle
from atorga.town.processes import Service
from identity.clock import Clock
from identity.codec import strict_json
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.keyed_hash_process import make_keys
from identity.randomness import Random

ACCOUNT_SCOPES = ("account",)
ISSUER_SCOPES = (f"{TENANT}/pairwise", f"{TENANT}/subject")
HASH_KEEPERS: Mapping[str, tuple[str, ...]] = {"issuer-hashes": ISSUER_SCOPES, "consent-hashes": ACCOUNT_SCOPES}
"""Two processes: the issuer's and the consent service's keyed hashes say nothing about each other."""

PURPOSE = "https://w3id.org/dpv#PublicBenefit"
PROCEDURE = "rent-subsidy"
HOLDER_DECLARATION = "municipal-income"
SERVICE_DECLARATION = "rent-subsidy"
RETENTION_SECONDS = 90 * 86_400

STATUS_LIST_SIZE = 2**17
"""A city of ten thousand; production lists have 2**20 places."""

STATUS_TTL_SECONDS = 5
"""Somebody who revokes in a sandbox is watching."""


def make(folder: TownFolder, pki: TownPki, *, token_sha256: str, clock: Clock, random: Random) -> None:
    """Every file of a new city but the signed list."""
    for name, scopes in HASH_KEEPERS.items():
        keys = folder.key_file(f"{name}.json")
        if not keys.exists():
            make_keys(keys, scopes, random)
    cards = card_pki(folder, clock=clock, random=random)
    settle(folder, cards, random=random)
    hpke = AgreementPrivateKey.generate()
    write_private(folder.key_file("hacienda.hpke.json"), strict_json.compact(hpke.private_jwk()))
    pki.trust_pem()
    for name, tables in _configurations(folder, pki, cards).items():
        head = {
            "service": {
                "url": folder.url(name), "host": "127.0.0.1", "port": folder.port(name), "data": folder.state(name),
            },
            "registry": {
                "url": f"{folder.url('issuer')}/registry", "anchors": parties.registry_anchors(pki),
            },
            "town": {"token_sha256": token_sha256},
        }  # fmt: skip
        write_private(folder.config(name), toml_text.format(head | tables))


def card_pki(folder: TownFolder, *, clock: Clock, random: Random) -> CardPki:
    return CardPki(folder.root / "card-authority", ocsp_url=folder.url("ocsp"), clock=clock, random=random)


def hash_keepers(folder: TownFolder) -> list[Service]:
    return [_hash_keeper(folder, name) for name in HASH_KEEPERS]


def _hash_keeper(folder: TownFolder, name: str) -> Service:
    socket = hash_socket(folder, name)
    command = [sys.executable, "-m", "identity.keys.keyed_hash_process", "--with-parent"]
    command += ["--keys", str(folder.key_file(f"{name}.json")), "--socket", str(socket)]
    return Service(name, None, tuple(command), folder.log(name), socket)


def hash_socket(folder: TownFolder, name: str) -> Path:
    return folder.root / "run" / f"{name}.sock"


def _configurations(folder: TownFolder, pki: TownPki, cards: CardPki) -> dict[str, dict[str, Any]]:
    made = {
        "issuer": _issuer(folder, pki, cards),
        "consent": _consent(folder, pki),
        "witness": _witness(folder),
        "ocsp": _ocsp(cards),
        "holder": _holder(folder, pki),
        "verifier": _verifier(pki),
        "portal": _portal(folder, pki),
    }
    assert made.keys() == OFFSETS.keys()
    return made


def _issuer(folder: TownFolder, pki: TownPki, cards: CardPki) -> dict[str, Any]:
    credentials, status = parties.issuer_signing(folder, pki), parties.status_signing(folder, pki)
    return {
        "issuer": {"profile": "base"},
        "keyed_hash": {"socket": hash_socket(folder, "issuer-hashes")},
        "cards": {"sandbox": {"profile": "sandbox", "roots": cards.root, "issuing": cards.issuing}},
        "tenants": {
            TENANT: {
                "names": parties.NAMES[parties.ISSUER],
                "types": ["person-id", "residency", "pairwise"],
                "credential_key": credentials.key,
                "credential_chain": credentials.certificates,
                "status_key": status.key,
                "status_chain": status.certificates,
                "status_list_size": STATUS_LIST_SIZE,
                "status_ttl_seconds": STATUS_TTL_SECONDS,
                "row_register": "padron",
                "demo_subject": str(DEMO_ROW),
                "registers": {
                    "padron": {
                        "url": f"sqlite:///{padron_file(folder)}",
                        "person_query": "SELECT nif AS id_number, given_name, family_name, birthdate FROM resident "
                        "WHERE row_id = :subject",
                        "claims_query": "SELECT municipality, district, neighbourhood, resident_since FROM resident "
                        "WHERE nif = :id_number",
                        "assurance": "substantial",
                    }
                },
            }
        },
        "publish": {"registry": folder.registry_list, "trust": pki.trust_pem()},
    }


def _consent(folder: TownFolder, pki: TownPki) -> dict[str, Any]:
    return {
        "consent": {
            "party": parties.CONSENT,
            "key": folder.party_key(parties.CONSENT),
            "log_seed": folder.key_file(parties.LOG_SEED),
            "period": folder.period,
            "keyed_hash": hash_socket(folder, "consent-hashes"),
        },
        "client": _client(pki, parties.CONSENT),
        "trust": {"issuer_anchors": pki.root(ISSUERS).certificates},
        "witnesses": {
            "keys": [parties.witness_vkey(folder)],
            "urls": [folder.url("witness")],
            "threshold": 1,
        },
    }


def _witness(folder: TownFolder) -> dict[str, Any]:
    return {
        "witness": {
            "name": folder.witness_name,
            "seed": folder.key_file(parties.WITNESS_SEED),
            "logs": [parties.log_vkey(folder)],
        }
    }


def _ocsp(cards: CardPki) -> dict[str, Any]:
    return {
        "ocsp": {
            "issuing": cards.issuing,
            "signer": cards.responder,
            "key": cards.responder_key,
            "status": cards.status,
        }
    }


def _holder(folder: TownFolder, pki: TownPki) -> dict[str, Any]:
    return {
        "holder": {
            "party": parties.HOLDER,
            "key": folder.party_key(parties.HOLDER),
            "hpke_key": folder.key_file("hacienda.hpke.json"),
            "consent": parties.CONSENT,
            "log_vkey": parties.log_vkey(folder),
            "issuer_anchors": pki.root(ISSUERS).certificates,
        },
        "witnesses": {"keys": [parties.witness_vkey(folder)], "threshold": 1},
        "declaration": {
            "id": HOLDER_DECLARATION,
            "version": 1,
            "vct": "urn:atorga:person-id:1",
            "path": ["personal_administrative_number"],
            "attributes": {
                "income.band": {
                    "category": "https://w3id.org/dpv/pd#Income",
                    "resolutions": ["raw", "binned:eur-6", "predicate:below-iprem-3"],
                    "purposes": [PURPOSE],
                },
                "household.size": {
                    "category": "https://w3id.org/dpv/pd#Household",
                    "resolutions": ["raw", "predicate:four-or-more"],
                    "purposes": [PURPOSE],
                },
            },
        },
        "register": {
            "url": f"sqlite:///{register_file(folder)}",
            "row": {"query": "SELECT row_id FROM resident WHERE nif = :value"},
            "attributes": {
                "income.band": {
                    "type": "integer",
                    "query": "SELECT amount_eur FROM income WHERE row_id = :row ORDER BY year DESC LIMIT 1",
                },
                "household.size": {"type": "integer", "query": "SELECT size FROM household WHERE row_id = :row"},
            },
        },
        "resolutions": {
            "binned:eur-6": {
                "edges": [9_000, 15_000, 21_000, 30_000, 45_000],
                "labels": ["< 9000", "9000–14999", "15000–20999", "21000–29999", "30000–44999", "≥ 45000"],
            },
            "predicate:below-iprem-3": {"below": 25_200},
            "predicate:four-or-more": {"at_least": 4},
        },
    }


def _verifier(pki: TownPki) -> dict[str, Any]:
    return {
        "verifier": {"profile": "base"},
        "client": _client(pki, parties.VERIFIER),
        "trust": {"issuer_anchors": pki.root(ISSUERS).certificates},
    }


def _portal(folder: TownFolder, pki: TownPki) -> dict[str, Any]:
    return {
        "portal": {"profile": "base", "party": parties.PORTAL, "issuer": folder.issuer},
        "client": _client(pki, parties.PORTAL),
        "trust": {"issuer_anchors": pki.root(ISSUERS).certificates},
        "consents": {
            "party": parties.SERVICE,
            "key": folder.party_key(parties.SERVICE),
            "consent": parties.CONSENT,
            "log_vkey": parties.log_vkey(folder),
            "holder": parties.HOLDER,
            "resolution": "binned:eur-6",
            "days": 90,
            "declaration": {
                "id": SERVICE_DECLARATION,
                "version": 1,
                "procedure": PROCEDURE,
                "purpose": PURPOSE,
                "datatypes": ["income.band"],
                "holders": [parties.HOLDER],
                "legal_basis": "consent",
                "retention_seconds": RETENTION_SECONDS,
                "sensitive": False,
                "notice": {
                    "es": "Para ver si le corresponde la ayuda al alquiler miramos su tramo de ingresos, no la cifra.",
                    "ca": "Per saber si li correspon l’ajut al lloguer mirem el seu tram d’ingressos, no la xifra.",
                    "en": "To see if the rent subsidy is yours by right we look at your income band, not the figure.",
                },
            },
        },
    }


def _client(pki: TownPki, party: str) -> dict[str, Any]:
    signing = parties.access_signing(pki, party)
    return {"key": signing.key, "certificates": signing.certificates}
