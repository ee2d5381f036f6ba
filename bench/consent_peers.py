"""Peers of the consent service's rows, and the decision by itself: the same question, asked in other ways."""

import asyncio
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlmodel import Session

from bench.connection import Connection
from bench.race_stores import ALL, HOLDER, NOW, PURPOSE, SERVICE, prepare
from consent.grant.decision import GrantState, State, refusals
from consent.ledger.grant_row import WINDOW_EPOCH
from consent.ledger.grants import GrantStore
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.tables import Event, GrantBody, GrantRow, Request, SpentProof
from identity.codec import base64url
from identity.envelope import hpke
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner

GRANTS = 1_000
GIVEN = 200
REQUESTS = 3_000
WAYS = 16
NAMES = ("income.band", "household.size", "address")
IRI = "https://w3id.org/dpv#PublicBenefit"


def _database() -> tuple[Path, list[bytes]]:
    folder = Path(tempfile.mkdtemp(prefix="atorga-bench-decide-"))
    engine = open_engine(f"sqlite:///{folder / 'consent.db'}")
    upgrade(engine)
    grant_ids = [secrets.token_bytes(16) for _ in range(GRANTS)]
    prepare(engine, grant_ids)
    engine.dispose()
    return folder / "consent.db", grant_ids


def decide_by_row() -> Callable[[], object]:
    """As the service does: the hot row, then every reason against the use."""
    path, grant_ids = _database()
    store = GrantStore(open_engine(f"sqlite:///{path}"))
    return lambda: decide(store, secrets.choice(grant_ids))


def decide(store: GrantStore, grant_id: bytes) -> bool:
    row = store.row(grant_id)
    if row is None or (row.service, row.holder, row.purpose) != (SERVICE, HOLDER, PURPOSE):
        return False
    active = frozenset(name for place, name in enumerate(NAMES) if row.mask >> place & 1)
    state = GrantState(
        State(row.state), IRI, active, row.not_before, row.not_after, row.uses, row.max_uses,
        row.window_start + WINDOW_EPOCH, row.window_uses, row.window_max, row.window_seconds,
    )  # fmt: skip
    return not refusals(state, purpose=IRI, attributes=("income.band",), now=NOW)


def decide_raw() -> Callable[[], object]:
    """The same row by the driver, its conditions in SQL, no reason."""
    path, grant_ids = _database()
    connection = sqlite3.connect(path)
    sql = (
        "SELECT 1 FROM grant_row WHERE grant_id = ? AND state = 1 AND service = ? AND holder = ? AND purpose = ? "
        "AND (mask & 1) = 1 AND not_before <= ? AND ? < not_after AND (max_uses = 0 OR uses < max_uses)"
    )

    def run() -> None:
        values = (secrets.choice(grant_ids), SERVICE, HOLDER, PURPOSE, NOW, NOW)
        assert connection.execute(sql, values).fetchone() is not None

    return run


def decide_by_cedar() -> Callable[[], object]:
    """A policy engine with the grant's row at hand: no database in it."""
    from cedarpy import Decision, is_authorized

    policy = (
        'permit(principal, action == Action::"read", resource) when { context.state == 1 && '
        "context.purpose == resource.purpose && resource.attributes.contains(context.attribute) && "
        "context.now >= resource.not_before && context.now < resource.not_after && principal == resource.service };"
    )
    service = {"uid": {"__entity": {"type": "Service", "id": "1"}}, "attrs": {}, "parents": []}
    grant = {
        "uid": {"__entity": {"type": "Grant", "id": "1"}},
        "attrs": {
            "purpose": IRI, "attributes": list(NAMES), "not_before": NOW - 1, "not_after": NOW + 86_400,
            "service": {"__entity": {"type": "Service", "id": "1"}},
        },
        "parents": [],
    }  # fmt: skip
    entities = json.dumps([service, grant])
    asked = {
        "principal": 'Service::"1"', "action": 'Action::"read"', "resource": 'Grant::"1"',
        "context": {"state": 1, "purpose": IRI, "attribute": "income.band", "now": NOW},
    }  # fmt: skip

    def run() -> None:
        assert is_authorized(asked, policy, entities).decision == Decision.Allow

    return run


def give_by_session() -> float:
    """A grant's public-key operations, then its rows by a Session; CPU microseconds of one. Its request lies there."""
    folder = Path(tempfile.mkdtemp(prefix="atorga-bench-session-"))
    engine = open_engine(f"sqlite:///{folder / 'consent.db'}")
    upgrade(engine)
    signer, view_key = SoftwareSigner.generate(), AgreementPrivateKey.generate().public
    text, signature = b"x" * 1_000, signer.sign(b"x" * 1_000)
    grant_ids = [secrets.token_bytes(16) for _ in range(GIVEN)]
    with Session(engine) as session:
        for grant_id in grant_ids:
            session.add(Request(request_id=grant_id, service=1, jws="j" * 900, expires=NOW, state=0))
        session.commit()
    began = time.process_time()
    for grant_id in grant_ids:
        for _ in range(3):
            signer.public_key.verify(signature, text, algorithm="ES256")
        pair = AgreementPrivateKey.generate()
        hpke.seal(view_key, b"opening", pair.raw)
        _insert(engine, grant_id, pair.public.raw, hpke.seal(pair.public, b"event", b"e" * 500))
    spent = time.process_time() - began
    engine.dispose()
    return spent / GIVEN * 1e6


def _insert(engine: Any, grant_id: bytes, opening_key: bytes, sealed: str) -> None:
    with Session(engine) as session:
        request = session.get(Request, grant_id)
        assert request is not None
        request.state = 1
        session.add(SpentProof(thumbprint="t" * 43, jti=base64url.encode(grant_id), expires=NOW))
        session.add(
            GrantRow(
                grant_id=grant_id, account=1, service=1, holder=2, purpose=1, state=1, mask=ALL, not_before=NOW,
                not_after=NOW + 1, counter=1, act=0, uses=0, max_uses=0, window_start=0, window_uses=0, window_max=0,
                window_seconds=0, status_index=0,
            )
        )  # fmt: skip
        session.add(
            GrantBody(
                grant_id=grant_id, signed=b"g" * 2_400, locator="l" * 600, thumbprint="t" * 43,
                opening_key=opening_key, details="d" * 600,
            )
        )  # fmt: skip
        session.add(Event(kind=3, grant_id=grant_id, counter=1, leaf=bytes(80), sealed=sealed))
        session.commit()


# ── routes, each as a process of its own ─────────────────────────────────────────────────────


def no_op() -> Callable[[], float]:
    return _served("no_op_app")


def decision_route() -> Callable[[], float]:
    return _served("decision_app")


def _served(app: str) -> Callable[[], float]:
    """CPU microseconds of one request at an application of this file, served as the services are."""

    def run() -> float:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "uvicorn", f"bench.consent_peers:{app}", "--factory", "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
        )
        try:
            asyncio.run(_ask(port, 200, patient=True))
            before = _cpu(process.pid)
            asyncio.run(_ask(port, REQUESTS))
            return (_cpu(process.pid) - before) / REQUESTS * 1e6
        finally:
            process.terminate()
            process.wait()

    return run


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _ask(port: int, count: int, *, patient: bool = False) -> None:
    left = iter(range(count))

    async def some() -> None:
        way = Connection("127.0.0.1", port)
        for _ in left:
            while True:
                try:
                    answer = await way.send("POST", "/decide", b'{"grant":"x","attribute":"income.band"}')
                except OSError:
                    assert patient
                    await asyncio.sleep(0.1)
                    continue
                assert answer.status == 200
                break
        way.close()

    await asyncio.gather(*(some() for _ in range(WAYS)))


def no_op_app() -> Any:
    body = b'{"allowed":true}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def decision_app() -> Any:
    """The hot row by its key and the reasons, behind a route as the hot ones are."""
    import msgspec
    from starlette.applications import Starlette
    from starlette.requests import Request as Asked
    from starlette.responses import Response
    from starlette.routing import Route

    path, grant_ids = _database()
    store = GrantStore(open_engine(f"sqlite:///{path}"))

    async def endpoint(request: Asked) -> Response:
        msgspec.json.decode(await request.body())
        allowed = decide(store, secrets.choice(grant_ids))
        return Response(msgspec.json.encode({"allowed": allowed}), media_type="application/json")

    return Starlette(routes=[Route("/decide", endpoint, methods=["POST"])])


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
