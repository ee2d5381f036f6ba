"""One client process of the race: residents, a service and a data holder, each by plain keys.

It gives grants, uses those whose withdrawal is near, withdraws its own at its turn, and remembers
what was acknowledged when. Every use of it is a new signed request; some are poisoned, and must not
be allowed, nor spoil what comes with them.
"""

import asyncio
import base64
import json
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

from bench.connection import Answer, Connection
from bench.race_city import Account
from bench.race_judge import Use, Withdrawal
from consent import spec
from consent.caller.proof import sign_proof
from consent.grant.act import Deed, Pause, Resume, sign_act
from consent.grant.detail import AuthorizationDetail, Frequency, Term
from consent.grant.grant import sign_grant
from consent.grant.locator import seal_locator
from consent.grant.request import ConsentRequest, VerifiedRequest, sign_request, verify_request
from consent.grant.use import UseRequest, sign_use_request
from consent.grant.withdrawal import sign_withdrawal
from identity.codec import base64url, strict_json
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, DAY, HOLDER, PURPOSE, SERVICE

DATATYPES = ("income.band", "household.size")
ALL = (1 << len(DATATYPES)) - 1
POISONED = 0.1
"""Of the uses: asked for another purpose, a foreign attribute, after their end, or twice."""

NEAR = 6
"""Grants at a time that most uses are of: the ones about to be withdrawn, and just withdrawn."""

SINGLE = 0.5
"""Of the grants: an attribute goes first, the whole later."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Keys and addresses, as a process takes them along."""

    url: str
    ports: tuple[int, ...]
    service_pem: bytes
    holder_pem: bytes
    hpke: bytes


@dataclass(frozen=True, slots=True)
class Given:
    """A grant; whoever holds this may withdraw it."""

    grant_id: str
    key_pem: bytes


@dataclass(frozen=True, slots=True)
class Giving:
    """A grant on its way to the service, with the account key that proves the call."""

    given: Given
    owner: SoftwareSigner
    body: Mapping[str, str]


@dataclass
class Counts:
    """What one client saw."""

    uses: list[Use] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    refused: int = 0
    poisoned: int = 0
    poisoned_allowed: int = 0
    replayed_resumes: int = 0
    resumed_by_replay: int = 0
    unanswered: int = 0
    unavailable: int = 0
    promised: int = 0
    """Withdrawals whose first answer had a promise in place of the proof."""
    until_refused: list[tuple[float, float]] = field(default_factory=list)
    """Seconds from sending a withdrawal, and from its acknowledgement, to the first refusal at the other process."""
    odd: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)


class Client:
    """Everything here runs in one event loop."""

    def __init__(self, parties: Parties, seed: int) -> None:
        self._parties = parties
        self._service = SoftwareSigner.from_pem(parties.service_pem)
        self._holder = SoftwareSigner.from_pem(parties.holder_pem)
        self._hpke = AgreementPublicKey(parties.hpke)
        self._reply = AgreementPrivateKey.generate().public
        self._random = random.Random(seed)
        self._nonce = ""
        self._connections = 0
        self.counts = Counts()
        self.promised: list[tuple[Given, str | None]] = []
        """Withdrawals whose leaves wait: further ones of an account are spread over an hour."""

    def connection(self) -> Connection:
        """To the one process and the other in turns."""
        self._connections += 1
        return Connection("127.0.0.1", self._parties.ports[self._connections % len(self._parties.ports)])

    def poisons(self, part: float) -> bool:
        return self._random.random() < part

    def choose(self, of: Sequence[int], part: float) -> frozenset[int]:
        return frozenset(self._random.sample(of, ceil(len(of) * part)))

    def pick(self, near: int, ended: int, count: int, width: int) -> int:
        """Mostly a grant around the next withdrawal; some of all, also of those long withdrawn."""
        if self._random.random() < 0.7 and near < ended:
            return self._random.randrange(max(0, near - width // 2), min(ended, near + width))
        if self._random.random() < 0.5:
            return self._random.randrange(ended, count)
        return self._random.randrange(count)

    # ── calls ────────────────────────────────────────────────────────────────────────────────

    async def proven(self, way: Connection, signer: SoftwareSigner, path: str, value: Mapping[str, Any]) -> Answer:
        body = strict_json.compact(value)
        for _ in range(2):
            proof = sign_proof(
                signer, method="POST", url=self._parties.url + path, nonce=self._nonce, now=int(time.time()),
                random=secrets.token_bytes, body=body,
            )  # fmt: skip
            headers = {"Content-Type": spec.MEDIA_JSON, spec.REQUEST_PROOF_HEADER: proof}
            answer = await way.send("POST", path, body, headers)
            self._nonce = answer.headers.get(spec.PROOF_NONCE_HEADER.lower(), self._nonce)
            if answer.status != 401:
                break
        return answer

    async def signed(self, way: Connection, path: str, compact: str, method: str = "POST") -> Answer:
        return await way.send(method, path, compact.encode("ascii"), {"Content-Type": spec.MEDIA_JWT})

    # ── giving ───────────────────────────────────────────────────────────────────────────────

    async def give(self, way: Connection, account: Account) -> Given:
        asking = self.make_asking()
        await self.ask(way, asking)
        return await self.hand_in(way, self.make_giving(asking, account))

    def make_asking(self) -> VerifiedRequest:
        """A signed request, not sent yet."""
        now = int(time.time())
        detail = AuthorizationDetail(
            holder=HOLDER, identifier="rent-subsidy@1", procedure="rent-subsidy", purpose=PURPOSE, datatypes=DATATYPES,
            terms={"income.band": Term("binned:eur-6", False), "household.size": Term("raw", True)},
            level="readable", mode="view", fetch="periodic", frequency=Frequency(65_535, DAY), max_uses=65_535,
            not_before=now - 60, not_after=now + 20 * DAY, data_life_seconds=30 * DAY, on_change="ask",
        )  # fmt: skip
        asked = ConsentRequest(
            SERVICE, CONSENT, base64url.encode(secrets.token_bytes(16)), now, now + 600, None, detail
        )
        compact = sign_request(asked, self._service)
        return verify_request(compact, key_of=lambda _: self._service.public_key, consent=CONSENT, now=now)

    async def ask(self, way: Connection, asking: VerifiedRequest) -> None:
        await _until(201, lambda: self.signed(way, "/requests", asking.compact))

    def make_giving(self, asking: VerifiedRequest, account: Account) -> Giving:
        """The signed answer to a request, not sent yet."""
        key = SoftwareSigner.generate()
        grant_id = base64url.encode(secrets.token_bytes(16))
        compact = sign_grant(
            grant_id=grant_id, request=asking, detail=asking.request.detail, decision="given",
            now=int(time.time()), signer=key,
        )  # fmt: skip
        locator = seal_locator(
            self._hpke, holder=HOLDER, grant=compact, link=base64url.encode(secrets.token_bytes(16)), link_signer=key
        )
        body = {"grant": compact, "locator": locator}
        return Giving(Given(grant_id, key.to_pem()), SoftwareSigner.from_pem(account.key_pem), body)

    async def hand_in(self, way: Connection, giving: Giving) -> Given:
        answer = await _until(201, lambda: self.proven(way, giving.owner, "/me/grants", giving.body))
        assert json.loads(answer.body)["counter"] == 1
        return giving.given

    # ── using ────────────────────────────────────────────────────────────────────────────────

    async def use(self, way: Connection, given: Given, *, attribute: str | None = None, poisoned: bool = False) -> bool:
        """Whether it was allowed."""
        place = self._random.randrange(len(DATATYPES)) if attribute is None else DATATYPES.index(attribute)
        request = self._use_request(given.grant_id, DATATYPES[place], poisoned)
        began = time.monotonic_ns()
        try:
            answer = await self.proven(way, self._holder, "/uses", {"use_request": request})
        except OSError:
            # Killed in the middle: what was not answered was not released.
            self.counts.unanswered += 1
            await asyncio.sleep(0.2)
            return False
        self.counts.latencies.append((time.monotonic_ns() - began) / 1e9)
        self.counts.poisoned += poisoned
        if answer.status != 200:
            await self._not_allowed(answer, poisoned)
            return False
        self.counts.poisoned_allowed += poisoned
        counter = int(_claims(answer.body)["counter"])
        self.counts.uses.append(Use(base64url.decode(given.grant_id), counter, 1 << place, began))
        return True

    async def _not_allowed(self, answer: Answer, poisoned: bool) -> None:
        if answer.status == 403 or (poisoned and answer.status == 400):
            self.counts.refused += not poisoned
        elif answer.status == 503:
            self.counts.unavailable += 1
            await asyncio.sleep(0.05)
        else:
            word = f"{answer.status} {answer.body[:60]!r}"
            self.counts.odd[word] = self.counts.odd.get(word, 0) + 1

    def _use_request(self, grant_id: str, attribute: str, poisoned: bool) -> str:
        now, purpose, attributes = int(time.time()), PURPOSE, (attribute,)
        if poisoned:
            match self._random.randrange(4):
                case 0:
                    purpose = "https://w3id.org/dpv#Marketing"
                case 1:
                    attributes = ("income.exact",)
                case 2:
                    now -= 120
                case 3:
                    grant_id = base64url.encode(secrets.token_bytes(16))
        asked = UseRequest(
            service=SERVICE, holder=HOLDER, id=base64url.encode(secrets.token_bytes(16)), issued=now, expires=now + 60,
            grant_id=grant_id, purpose=purpose, procedure="rent-subsidy", attributes=attributes, expected_subject=None,
            reply_key=self._reply,
        )  # fmt: skip
        return sign_use_request(asked, self._service)

    # ── ending ───────────────────────────────────────────────────────────────────────────────

    async def withdraw(self, way: Connection, given: Given, attribute: str | None) -> None:
        """Again and again until it is acknowledged, as a wallet does."""
        compact = sign_withdrawal(
            given.grant_id, None if attribute is None else (attribute,), signer=SoftwareSigner.from_pem(given.key_pem),
            now=int(time.time()), random=secrets.token_bytes,
        )  # fmt: skip
        sent = time.monotonic_ns()
        first = json.loads((await _until(200, lambda: self.signed(way, "/withdrawals", compact))).body)
        acknowledged = time.monotonic_ns()
        last = first
        while "proof" not in last and _is_soon(last["promise"]):
            # Whoever holds a promise looks for its leaf: a database that was put back may know nothing of it.
            await asyncio.sleep(0.2)
            last = json.loads((await _until(200, lambda: self.signed(way, "/withdrawals", compact))).body)
        proven = time.monotonic_ns() if "proof" in last else 0
        if not proven:
            self.promised.append((given, attribute))
        mask = ALL if attribute is None else 1 << DATATYPES.index(attribute)
        grant_id = base64url.decode(given.grant_id)
        self.counts.withdrawals.append(Withdrawal(grant_id, mask, acknowledged, int(last["counter"]), proven, sent))
        self.counts.promised += "proof" not in first
        await self._refused_from_now(given, attribute, sent, acknowledged)

    async def _refused_from_now(self, given: Given, attribute: str | None, sent: int, acknowledged: int) -> None:
        """The first refusal, at the other process: how long after the withdrawal it is there."""
        way = self.connection()
        before = self.counts.refused
        while self.counts.refused == before:
            if await self.use(way, given, attribute=attribute):
                continue
            answered = time.monotonic_ns()
            self.counts.until_refused.append(((answered - sent) / 1e9, (answered - acknowledged) / 1e9))
            break
        way.close()

    async def replay_resume(self, way: Connection, given: Given) -> None:
        """Pause, resume, pause: then the old resume once more, which must not open it again."""
        key, now = SoftwareSigner.from_pem(given.key_pem), int(time.time())
        deeds: tuple[Deed, ...] = (Pause(), Resume(), Pause())
        acts = [
            sign_act(given.grant_id, number, deed, consent=CONSENT, signer=key, now=now, random=secrets.token_bytes)
            for number, deed in enumerate(deeds, 1)
        ]
        path = f"/me/grants/{given.grant_id}"
        for act in acts:
            await _until(200, partial(self.signed, way, path, act, "PATCH"))
        answer = await self.signed(way, path, acts[1], "PATCH")
        self.counts.replayed_resumes += 1
        allowed = await self.use(way, given)
        self.counts.resumed_by_replay += allowed or answer.status == 200


async def _until(status: int, call: Any, *, seconds: float = 120.0) -> Answer:
    """Asked again where nobody answers, or only that it is not possible now. Raises AssertionError on other answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer: Answer = await call()
        except OSError:
            answer = Answer(503, {}, b"")
        if answer.status == status:
            return answer
        assert answer.status == 503 and time.monotonic() < deadline, f"{answer.status} {answer.body[:200]!r}"
        await asyncio.sleep(0.1)


def _is_soon(promise: str) -> bool:
    """Whether a promised leaf is due within minutes."""
    return int(_claims(promise.encode())["due"]) < time.time() + 120


def _claims(compact: bytes) -> Any:
    """The payload of an answer of our own service: its signature is the data holder's to check, not the race's."""
    payload = compact.split(b".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))


async def give_all(client: Client, accounts: Sequence[Account], ways: int) -> list[Given]:
    waiting = list(accounts)
    given: list[Given] = []

    async def give_some() -> None:
        way = client.connection()
        while waiting:
            given.append(await client.give(way, waiting.pop()))
        way.close()

    await asyncio.gather(*(give_some() for _ in range(ways)))
    return given
