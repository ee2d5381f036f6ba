"""``atorga demo``: the steps of the story that exist, and which come next."""

import secrets
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from consent.ledger.event import commitment, make_event
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.proof import verify_event_proof
from consent.log.writer import LogWriter
from identity.codec import base64url
from identity.formats.sd_jwt_vc import issue, present, verify
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner

NEXT = (
    "a resident proves an e-ID card to the town hall and receives the credential",
    "logs in to the municipal portal",
    "lends one attribute, sees its use, withdraws",
    "an auditor replays the log",
)


def run(out: TextIO) -> int:
    now = int(time.time())
    _credential(out, now)
    with TemporaryDirectory() as folder:
        _log(out, Path(folder), now)
    out.write("\nNext in the story, not built yet:\n")
    out.writelines(f"  – {step}\n" for step in NEXT)
    return 0


def _credential(out: TextIO, now: int) -> None:
    town_hall, wallet = SoftwareSigner.generate(), SoftwareSigner.generate()
    credential = issue.issue(
        claims={"municipality": "Barcelona", "district": "Gràcia", "neighbourhood": "la Salut"},
        disclosable=[("district",), ("neighbourhood",)],
        vct="urn:atorga:residency:1",
        issuer="http://localhost:8100/bcn",
        signer=town_hall,
        x5c=[],
        holder_key=wallet.public_key,
        iat=now,
        exp=now + 600,
        status=None,
        random=secrets.token_bytes,
    )
    shown = present.present(
        credential, disclose=[("district",)], audience="the portal", nonce="n-1", now=now, holder=wallet
    )
    seen = verify.verify(
        shown,
        issuer_key=lambda header, iss, vct: town_hall.public_key,
        audience="the portal",
        nonce="n-1",
        now=now,
    )
    hidden = "neighbourhood" not in seen.claims
    out.write(f"1. A residency credential of {len(credential)} characters is issued, presented and verified.\n")
    out.write(
        f"   The verifier learns the district: {seen.claims['district']}. The neighbourhood stays hidden: {hidden}.\n"
    )


def _log(out: TextIO, folder: Path, now: int) -> None:
    log = LogWriter(folder, "localhost/log/demo", Ed25519Signer(secrets.token_bytes(32)))
    salt, grant_id = secrets.token_bytes(32), secrets.token_bytes(16)
    event = make_event(
        Kind.GRANT,
        at_milliseconds=now * 1000,
        grant_id=base64url.encode(grant_id),
        counter=1,
        grant_hash=base64url.encode(secrets.token_bytes(32)),
        attributes=["income.band"],
        not_after=now + 90 * 86_400,
    )
    leaf = Leaf(Kind.GRANT, 0, grant_id, 1, 1, 1, now // 60, 1, 0, 0, commitment(event, salt))
    log.append([leaf.to_bytes()])
    proven = verify_event_proof(log.prove(0), log.key.format(), event, salt)
    out.write(f"2. A grant is leaf {proven.index} of a log of {proven.checkpoint.size}; its proof verifies offline.\n")
    log.close()
