"""Act 2: an operator who holds every key and every file of the consent service, and a service that helps.

All five cheats are done with the real keys on the real files, or on copies of the log that are signed
with the log's own key: what catches them is never that the cheat was clumsy.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_bytes
from threading import Thread
from typing import Any

import httpx

from atorga.town import parties
from atorga.town.folder import TownFolder
from consent import spec
from consent.errors import NotCosigned
from consent.grant.grant import GIVEN as DECIDED_GIVEN
from consent.grant.grant import sign_grant
from consent.grant.locator import seal_locator
from consent.grant.request import verify_request
from consent.grant.use import REQUEST_SECONDS, UseRequest, sign_use_request
from consent.ledger import grant_row
from consent.ledger.accounts import AccountStore
from consent.ledger.declarations import DeclarationStore
from consent.ledger.grant_row import Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.requests import RequestStore
from consent.ledger.schema import open_engine
from consent.log import tile
from consent.log.note import NoteKey
from consent.log.witness_client import HttpPost, WitnessClient
from consent.log.writer import CHECKPOINT, LogWriter
from consent.service.enrolling import view_key_of
from consent.service.entries import EntryMaker, Names
from consent.service.granting import limits_of
from consent.service.openings import OpeningFolder
from identity.codec import base64url, strict_json
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner

ACCOUNT = 1
"""The demo resident's: the first account of the city."""

RewriteLeaves = Callable[[list[Leaf]], list[Leaf]]


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    status: int
    body: dict[str, Any]

    @property
    def words(self) -> str:
        """Status and code, as a reader of the story sees them."""
        reasons = [str(reason["code"]) for reason in self.body.get("reasons", [])]
        said = self.body.get("error_description") or ", ".join(reasons) or self.body.get("error", "")
        return f"{self.status} {said}"


class DishonestCity:
    """The consent service's operator, and social services in league with it."""

    def __init__(self, folder: TownFolder) -> None:
        self._folder = folder
        self._database = folder.state("consent") / "consent.db"

    def forge_grant(self, request_id: str) -> str:
        """A grant under keys of the operator's own, in the database and the log like any other. Its id."""
        engine = open_engine(f"sqlite:///{self._database}")
        try:
            stored = RequestStore(engine).get(base64url.decode(request_id))
            account = AccountStore(engine).by_number(ACCOUNT)
            assert stored is not None and account is not None
            now = int(time.time())
            service = parties.party_signer(self._folder, parties.SERVICE).public_key
            request = verify_request(stored.jws, key_of=lambda _: service, consent=parties.CONSENT, now=now)
            detail = request.request.detail
            grant_key, link_key = SoftwareSigner.generate(), SoftwareSigner.generate()
            grant_id = token_bytes(16)
            compact = sign_grant(
                grant_id=base64url.encode(grant_id),
                request=request,
                detail=detail,
                decision=DECIDED_GIVEN,
                now=now,
                signer=grant_key,
            )
            locator = seal_locator(
                self._holder_key().public,
                holder=parties.HOLDER,
                grant=compact,
                link=base64url.encode(token_bytes(16)),
                link_signer=link_key,
            )
            openings = OpeningFolder(self._folder.state("consent") / "openings", token_bytes)
            opening = openings.make(base64url.encode(grant_id), view_key_of(account))
            names = Names(parties.SERVICE, detail.purpose, opening.raw, None)
            catalogue = DeclarationStore(engine)
            numbers = catalogue.parties()
            row = HotRow(
                grant_id=grant_id,
                account=account.number,
                service=numbers[parties.SERVICE],
                holder=numbers[parties.HOLDER],
                purpose=catalogue.purposes()[detail.purpose],
                state=grant_row.GIVEN,
                counter=1,
                act=0,
                uses=0,
                window_start=0,
                window_uses=0,
                status_index=0,
                **limits_of(detail),
            )

            def make_entry(after: HotRow) -> Entry:
                made = EntryMaker(token_bytes).of_grant(
                    Kind.GRANT, after, names, at=now * 1000, grant_hash="A" * 43,
                    attributes=list(detail.attributes), not_after=detail.not_after,
                )  # fmt: skip
                return made.entry

            GrantStore(engine).give(
                row,
                GrantBody(
                    compact, locator, grant_key.public_key.thumbprint, opening.raw,
                    strict_json.compact(detail.to_json()).decode(), None, None,
                ),
                request_id=base64url.decode(request_id), now=now, make_entry=make_entry,
            )  # fmt: skip
            return base64url.encode(grant_id)
        finally:
            engine.dispose()

    def revive(self, grant_id: str) -> None:
        """A withdrawn grant is in force again, as far as the database says."""
        self._change("UPDATE grant_row SET state = 1, mask = 1 WHERE grant_id = ?", grant_id)

    def log_a_use(self, grant_id: str) -> None:
        """A use that the operator counts and logs, whatever the resident said."""
        engine = open_engine(f"sqlite:///{self._database}")
        try:
            grants = GrantStore(engine)
            raw_id = base64url.decode(grant_id)
            row, body = grants.row(raw_id), grants.body(raw_id)
            assert row is not None and body is not None
            now = int(time.time())
            names = Names(parties.SERVICE, "", body.opening_key, body.leaf_codes)

            def make_entry(after: HotRow) -> Entry:
                made = EntryMaker(token_bytes).of_grant(
                    Kind.USE, after, names, at=now * 1000, mask=1, attributes=["income.band"], use_request_hash="A" * 43
                )
                return made.entry

            used = grants.use(
                raw_id, service=row.service, holder=row.holder, purpose=row.purpose, mask=1, now=now,
                jti=token_bytes(16), request_hash=token_bytes(32), expires=now + REQUEST_SECONDS, make_entry=make_entry,
            )  # fmt: skip
            assert used is not None
        finally:
            engine.dispose()

    def delete_use(self, grant_id: str) -> None:
        """The newest use is gone from the database. Its leaf is signed and stays."""
        self._change(
            "DELETE FROM event WHERE sequence = (SELECT max(sequence) FROM event WHERE grant_id = ? AND kind = 7)",
            grant_id,
        )

    def read_anyway(self, grant_id: str, attribute: str, *, purpose: str, procedure: str) -> ServiceAnswer:
        """The service forgets its own copy of the withdrawal and asks the data holder, with its real key."""
        now = int(time.time())
        request = UseRequest(
            service=parties.SERVICE,
            holder=parties.HOLDER,
            id=base64url.encode(token_bytes(16)),
            issued=now,
            expires=now + REQUEST_SECONDS,
            grant_id=grant_id,
            purpose=purpose,
            procedure=procedure,
            attributes=(attribute,),
            expected_subject=None,
            reply_key=AgreementPrivateKey.generate().public,
        )
        answer = httpx.post(
            f"{self._folder.url('holder')}/data",
            content=sign_use_request(request, parties.party_signer(self._folder, parties.SERVICE)),
            headers={"Content-Type": spec.MEDIA_JWT},
            trust_env=False,
            timeout=30,
        )
        return ServiceAnswer(answer.status_code, dict(answer.json()))

    def rewrite_log(self, into: Path, rewrite: RewriteLeaves) -> str:
        """A second log of the same name, signed with the log's own key; its signed checkpoint."""
        leaves = rewrite(read_leaves(self._folder.log_dir))
        shutil.rmtree(into, ignore_errors=True)
        seed = self._folder.key_file(parties.LOG_SEED).read_text(encoding="ascii").strip()
        writer = LogWriter(into, self._folder.log_origin, Ed25519Signer.from_hex(seed))
        try:
            writer.append([leaf.to_bytes() for leaf in leaves])
            return writer.signed_checkpoint
        finally:
            writer.close()

    def show_to_witness(self, forged: Path) -> str | None:
        """Asks the witness to cosign the other log; what it answers, None where it does."""
        seed = self._folder.key_file(parties.LOG_SEED).read_text(encoding="ascii").strip()
        writer = LogWriter(forged, self._folder.log_origin, Ed25519Signer.from_hex(seed))
        key = NoteKey.parse(parties.witness_vkey(self._folder))
        try:
            client = WitnessClient(self._folder.url("witness"), key, HttpPost())
            client.cosign(writer.signed_checkpoint, writer.prove_consistency)
        except NotCosigned as fault:
            return str(fault)
        finally:
            writer.close()
        return None

    def _holder_key(self) -> AgreementPrivateKey:
        """Of the declaration only the public half is used: that one is published."""
        path = self._folder.key_file("hacienda.hpke.json")
        return AgreementPrivateKey.from_jwk(strict_json.parse_object(path.read_bytes(), what="HPKE key"))

    def _change(self, statement: str, grant_id: str) -> None:
        with closing(sqlite3.connect(self._database, timeout=10)) as database, database:
            if database.execute(statement, (base64url.decode(grant_id),)).rowcount != 1:
                raise LookupError("the operator finds nothing to change")


def read_leaves(log_dir: Path) -> list[Leaf]:
    """All leaves below the current checkpoint, from the entry bundles."""
    size = int((log_dir / CHECKPOINT).read_text(encoding="utf-8").split("\n")[1])
    leaves: list[Leaf] = []
    for bundle in range((size + tile.WIDTH - 1) // tile.WIDTH):
        width = min(tile.WIDTH, size - bundle * tile.WIDTH)
        content = (log_dir / tile.bundle_path(bundle, width)).read_bytes()
        leaves += [Leaf.from_bytes(raw) for raw in tile.parse_bundle(content, width)]
    return leaves


@contextmanager
def served(log_dir: Path) -> Iterator[str]:
    """The address under which a forged log is shown: ``ADDRESS/log/…``, as a consent service has it."""
    handler = partial(_LogFiles, directory=str(log_dir))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _LogFiles(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix("/log"))

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def backdate_withdrawal(leaves: Sequence[Leaf]) -> list[Leaf]:
    """The last withdrawal stands before the uses it came after."""
    rewritten = list(leaves)
    place = max(place for place, leaf in enumerate(rewritten) if leaf.kind is Kind.WITHDRAW)
    moved = rewritten.pop(place)
    first_use = min(place for place, leaf in enumerate(rewritten) if leaf.kind is Kind.USE and leaf.id == moved.id)
    rewritten.insert(first_use, moved)
    return rewritten


def without_last_use(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Another history of the same length: the last use was something else."""
    rewritten = list(leaves)
    place = max(place for place, leaf in enumerate(rewritten) if leaf.kind is Kind.USE)
    rewritten[place] = replace(rewritten[place], commitment=token_bytes(32))
    return rewritten
