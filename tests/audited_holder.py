"""A data holder as an auditor sees it: an entry in a signed list, statements about its days, a day's records."""

import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atorga.town.pki import REGISTRY, TownPki
from consent.holder.records import DayRoot, LeafRecord, records_root, sign_root
from consent.ledger.leaf import Kind
from identity.codec import base64url, strict_json
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import sign_registry
from tests.consent_history import History

TAX, CONSENT = "urn:atorga:party:tax", "urn:atorga:party:consent"


class AuditedHolder:
    """Released, on one day, what this history says; writes ``list`` and ``registry.pem`` into ``folder``."""

    def __init__(self, folder: Path, origin: str, history: History) -> None:
        self.signer = SoftwareSigner.generate()
        self.folder = folder
        self.origin = origin
        now = int(time.time())
        pki = TownPki(folder / "pki", clock=time.time)
        lister = pki.registry_signer()
        party = {
            "id": TAX, "roles": ["holder"], "name": {"en": "Tax office"}, "legal_entity": "Tax office",
            "contact": "a@b.example", "territory": "ES", "from": now - 9, "to": now + 900,
            "jwk": self.signer.public_key.jwk(), "x5t#S256": [], "endpoints": {},
        }  # fmt: skip
        claims = {"iss": "urn:atorga:party:registry", "version": 1, "iat": now, "exp": now + 900, "parties": [party]}
        (folder / "list").write_text(sign_registry(claims, lister.signer(), lister.chain()))
        anchors = [x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in pki.root(REGISTRY).chain()]
        (folder / "registry.pem").write_bytes(b"".join(anchors))
        released = [(index, leaf) for index, leaf in enumerate(history.leaves) if leaf.kind in (Kind.USE, Kind.NOTICE)]
        self.day = released[0][1].minute // 1_440
        self.records = [
            LeafRecord(origin, index, self.day, leaf.kind, base64url.encode(leaf.id), leaf.counter)
            for index, leaf in released
        ]

    def statement(self, *, signer: SoftwareSigner | None = None) -> str:
        stated = DayRoot(self.day, len(self.records), records_root(self.records))
        return sign_root(stated, holder=TAX, consent=CONSENT, now=1, signer=signer or self.signer)

    def printed(self) -> bytes:
        """What ``atorga holder records DAY`` prints."""
        rows = [record.to_json() for record in self.records]
        return strict_json.compact({"holder": TAX, "day": self.day, "records": rows})
