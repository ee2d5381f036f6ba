"""docs/data-holder.md, run: a register of a foreign shape by fifteen lines, a function, a middleware."""

import asyncio
import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from atorga.serve import gate, holder
from atorga.serve.settings import ConfigurationError, load
from atorga.town.pki import ISSUERS, REGISTRY, TownPki
from consent.errors import RegisterFault
from consent.grant.detail import Term
from consent.holder import upstream
from consent.holder.gate import Gate
from consent.holder.register import open_register
from consent.holder.upstream import EnforcedApp
from consent.ledger.schema import open_engine
from identity.keys.agreement import AgreementPrivateKey
from identity.trust.bases import VerifiedBases
from tests.architecture.named_tests import ROOT
from tests.holder_city import ANNA, BERTA, HOLDER, HOLDER_URL, INCOME, NOW, City, Wallet
from tests.postgresql import Server
from tests.unit.consent.holder.test_release import opened

GUIDE = (ROOT / "docs" / "data-holder.md").read_text(encoding="utf-8")
MAX_LINES = 15

ROWS = [(7, ANNA, INCOME, 3), (8, BERTA, 60_000, None)]


def example(kind: str, name: str) -> str:
    """A code block of the guide, by its language and name."""
    found = re.findall(rf"```{kind} {name}\n(.*?)```", GUIDE, re.DOTALL)
    assert len(found) == 1, (kind, name)
    return str(found[0])


class _Bases:
    """The list of approved bases, without a network."""

    def __init__(self, city: City) -> None:
        self.current: Callable[[], VerifiedBases] = city.bases


class _Trust:
    """Whose credentials count, without certificates."""

    city: City

    def __init__(self, *_: Any) -> None:
        self.issuer_key = _Trust.city.issuer_key


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    """A city whose data holder is not there yet; what a process would ask the network for comes from the city."""
    made = City(tmp_path)
    _Trust.city = made
    monkeypatch.setattr(holder, "_lists", lambda *_: (made.registry, _Bases(made)))
    monkeypatch.setattr(holder, "open_http", made.http)
    monkeypatch.setattr(holder, "IssuerTrust", _Trust)
    return made


@pytest.fixture
def configure(city: City, tmp_path: Path) -> Callable[..., Path]:
    pki = TownPki(tmp_path / "pki", clock=lambda: float(NOW))
    (tmp_path / "registry.pem").write_bytes(pki.root(REGISTRY).certificates.read_bytes())
    (tmp_path / "issuers.pem").write_bytes(pki.root(ISSUERS).certificates.read_bytes())
    (tmp_path / "registry-key.pem").write_bytes(city.keys[HOLDER].to_pem())
    (tmp_path / "hpke.json").write_text(json.dumps(city.hpke.private_jwk()))

    def write(name: str, **values: str) -> Path:
        content = example("toml", "head") + example("toml", name)
        for placeholder, value in {"LOG_VKEY": city.consent.vkey, **values}.items():
            assert placeholder in content
            content = content.replace(placeholder, value)
        path = tmp_path / "holder.toml"
        path.write_text(content)
        return path

    return write


def build(path: Path, city: City) -> FastAPI:
    head, rest = load(path, profile="sandbox")
    made = holder.settings(head, rest)
    rest.done()
    return holder.build(made, profile="sandbox", clock=city.clock, random=secrets.token_bytes)


def read(city: City, grant_id: str, send: Callable[[str], tuple[int, Any]], **changes: Any) -> Any:
    """The values that the service opens, or the codes that it gets."""
    reply = AgreementPrivateKey.generate()
    compact = city.use_request(grant_id, reply=reply, **changes)
    status, body = send(compact)
    if status != 200:
        return [reason["code"] for reason in body["reasons"]] if status == 403 else body["error"]
    return opened(city, compact, reply, body)


def income(city: City, wallet: Wallet, resolution: str = "binned:eur-6") -> str:
    """A grant for one attribute."""
    return city.grant(wallet, datatypes=("income.band",), terms={"income.band": Term(resolution, False)})


def over_http(city: City) -> Callable[[str], tuple[int, Any]]:
    def send(compact: str) -> tuple[int, Any]:
        answer = city.send(compact)
        return answer.status_code, answer.json()

    return send


# A table.


def test_the_example_has_at_most_fifteen_lines() -> None:
    lines = [line for line in example("toml", "sql").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert 0 < len(lines) <= MAX_LINES and not any("\\" in line for line in lines)


@pytest.fixture
def foreign_sqlite(tmp_path: Path) -> str:
    path = tmp_path / "padro.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE padro_habitants (id_habitant INTEGER PRIMARY KEY, document VARCHAR(16), "
            "renda_anual NUMERIC(12), membres SMALLINT, adreca TEXT)"
        )
        connection.executemany("INSERT INTO padro_habitants VALUES (?, ?, ?, ?, 'Gran Via')", ROWS)
    connection.close()
    return f"sqlite:///{path}"


@pytest.fixture
def foreign_postgresql(postgresql_server: Server) -> str:
    url = postgresql_server.url(postgresql_server.new_database())
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE padro_habitants (id_habitant bigint PRIMARY KEY, document varchar(16), "
                "renda_anual numeric(12,2), membres smallint, adreca text)"
            )
        )
        for row in ROWS:
            connection.execute(
                text("INSERT INTO padro_habitants VALUES (:a, :b, :c, :d, 'Gran Via')"),
                dict(zip("abcd", row, strict=True)),
            )
    engine.dispose()
    return url


@pytest.mark.parametrize("store", ["foreign_sqlite", "foreign_postgresql"])
def test_a_table_of_a_foreign_shape(
    city: City, configure: Callable[..., Path], store: str, request: pytest.FixtureRequest
) -> None:
    path = configure("sql", REGISTER_URL=request.getfixturevalue(store))
    city.hosts[HOLDER_URL] = build(path, city)
    anna, berta = city.resident(ANNA), city.resident(BERTA)
    send = over_http(city)
    both = {"attributes": ("income.band", "household.size")}
    assert read(city, city.grant(anna), send, **both) == {"income.band": "3", "household.size": 3}
    assert read(city, city.grant(berta), send, **both) == {"income.band": "6", "household.size": None}
    assert read(city, income(city, anna, "predicate:below-iprem-3"), send) == {"income.band": True}
    assert read(city, income(city, anna, "raw"), send) == "allow_not_proven", "nothing finer than was declared"


def test_the_register_is_only_read(foreign_postgresql: str, foreign_sqlite: str) -> None:
    for url in (foreign_postgresql, foreign_sqlite):
        engine = open_register(url)
        with engine.connect() as connection, pytest.raises(SQLAlchemyError):
            connection.execute(text("UPDATE padro_habitants SET renda_anual = 0"))
        engine.dispose()


def test_the_declaration_is_signed_again_when_something_changes(
    city: City, configure: Callable[..., Path], foreign_sqlite: str, tmp_path: Path
) -> None:
    path = configure("sql", REGISTER_URL=foreign_sqlite)
    for _ in range(2):
        build(path, city)
    kept = tmp_path / "state" / "declarations"
    assert len(list(kept.iterdir())) == 1
    path.write_text(path.read_text().replace('resolutions = ["raw"]', 'resolutions = { raw = true, "coarse:two" = 2 }'))
    for _ in range(2):
        build(path, city)
    assert sorted(one.name.rpartition("-")[2] for one in kept.iterdir()) == ["1.jwt", "2.jwt"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('table = "padro_habitants"', 'table = "padro"', "no such table"),
        ('column = "membres"', 'column = "members"', "no such column"),
        ('key = "id_habitant"', 'key = "id"', "what finds a resident's row: no such column"),
        ('claim = "document"\n', "", "claim: is missing"),
        ('column = "membres"', 'column = "adreca"\ntype = "date"', "type: one of"),
        ('resolutions = ["raw"]', 'resolutions = ["average:60"]', "average"),
        ('resolutions = ["raw"]', 'resolutions = ["fine:1"]', "a resolution is"),
        ('resolutions = ["raw"]', 'resolutions = { raw = false }', "true is expected"),
        ('resolutions = ["raw"]', 'resolutions = { "binned:eur-6" = [1, 2] }', "something else at another"),
        ('resolutions = ["raw"]', 'resolutions = { "binned:x" = ["a"] }', "numbers"),
        ('resolutions = ["raw"]', 'resolutions = { "binned:x" = [2, 1] }', "edges must rise"),
        ('pd#Household"', 'pd#Houshold"', "no term|not a term"),
        ('column = "membres"', 'column = "membres"\nunit = 1', "not known here"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_told_at_start(
    city: City, configure: Callable[..., Path], foreign_sqlite: str, old: str, new: str, fault: str
) -> None:
    path = configure("sql", REGISTER_URL=foreign_sqlite)
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
    with pytest.raises(ConfigurationError, match=fault):
        build(path, city)


# A function.


def test_the_guides_function(city: City, configure: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "open_gate", partial(gate.open_gate, clock=city.clock))
    reply = AgreementPrivateKey.generate()
    scope: dict[str, Any] = {}

    def serve(app: Any) -> None:
        city.hosts[HOLDER_URL] = app
        scope["request_of_a_service"] = city.use_request(income(city, city.resident()), reply=reply)

    scope["serve"] = serve
    path = str(configure("function"))
    exec(compile(example("python", "function").replace("holder.toml", path), "guide", "exec"), scope)
    answer = scope["answer"]
    assert (answer.status, answer.media_type) == (200, "application/json")
    found = json.loads(answer.body)
    assert opened(city, scope["request_of_a_service"], reply, found) == {"income.band": "3"}
    assert b"stays here" not in answer.body and b"17432" not in answer.body


@pytest.fixture
def opened_gate(city: City, configure: Callable[..., Path]) -> Iterator[Gate]:
    with gate.open_gate(configure("function"), find={ANNA: 7}.get, profile="sandbox", clock=city.clock) as made:
        city.hosts[HOLDER_URL] = made.app
        yield made


def test_the_function_reads_once_and_only_after_a_permission(city: City, opened_gate: Gate) -> None:
    anna, asked = city.resident(), []

    def read(row: Any, attributes: tuple[str, ...]) -> dict[str, Any]:
        asked.append((row, attributes))
        return {"income.band": INCOME, "more": 1}

    grant_id = income(city, anna)
    compact = city.use_request(grant_id)
    first, again = opened_gate.release(compact, read), opened_gate.release(compact, read)
    assert first == again and first.status == 200 and asked == [(7, ("income.band",))]
    for refused, status in (
        (city.use_request(grant_id, attributes=("household.size",)), 403),
        (city.use_request("AAAAAAAAAAAAAAAAAAAAAA"), 403),
        ("no.request.atall", 400),
        ("ñ", 400),
        ("x" * 65_537, 413),
    ):
        assert opened_gate.release(refused, read).status == status
    city.withdraw(anna, grant_id)
    assert opened_gate.release(city.use_request(grant_id), read).status == 403
    assert len(asked) == 1
    assert city.send(compact).status_code == 404, "requests for data come by the function alone"


def _fails(*_: Any) -> dict[str, Any]:
    raise ZeroDivisionError(str(INCOME))


@pytest.mark.parametrize(
    "read",
    [
        _fails,
        lambda *_: {},
        lambda *_: None,
        lambda *_: {"income.band": str(INCOME)},
        lambda *_: {"income.band": True},
        lambda *_: {"income.band": float("nan")},
    ],
    ids=["fails", "nothing", "none", "text", "boolean", "nan"],
)
def test_code_that_fails_releases_nothing_and_tells_nothing(city: City, opened_gate: Gate, read: Any) -> None:
    anna = city.resident()
    answer = opened_gate.release(city.use_request(income(city, anna)), read)
    assert answer.status == 503 and json.loads(answer.body)["error"] == "register_unavailable"
    assert str(INCOME).encode() not in answer.body
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [[]]


def test_a_configuration_of_another_kind(
    city: City, configure: Callable[..., Path], foreign_sqlite: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="no code answers"):
        build(configure("function"), city)
    path = configure("sql", REGISTER_URL=foreign_sqlite)
    with pytest.raises(ConfigurationError, match="a database stands here"):
        gate.enforced(existing(city), path, profile="sandbox")
    with pytest.raises(ConfigurationError, match="upstream"):
        gate.enforced(existing(city), configure("function"), profile="sandbox")
    for old, new in (
        ('"income.band" = "income.amount"', ""),
        ("{claim}", "x"),
        ("{row}", "x"),
        ('key = "id"', 'keys = "id"'),
    ):
        path = configure("middleware")
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(ConfigurationError, match="upstream"):
            gate.enforced(existing(city), path, profile="sandbox")


# A middleware.


def existing(city: City) -> Starlette:
    """An application as a town hall may have one."""
    people = {row[0]: {"id": row[0], "nif": row[1], "income": {"amount": row[2]}, "name": "Anna"} for row in ROWS}
    seen: list[str] = []

    async def find(request: Request) -> Response:
        seen.append(str(request.url))
        found = [one for one in people.values() if one["nif"] == request.query_params["nif"]]
        return JSONResponse({"id": found[0]["id"]}) if found else JSONResponse({}, 404)

    async def row(request: Request) -> Response:
        seen.append(str(request.url))
        return app.state.answer or JSONResponse(people[int(request.path_params["row"])])

    app = Starlette(routes=[Route("/residents", find), Route("/residents/{row}", row)])
    app.state.answer, app.state.seen = None, seen
    return app


@pytest.fixture
def behind(city: City, configure: Callable[..., Path]) -> Starlette:
    app = existing(city)
    made = gate.enforced(app, configure("middleware"), profile="sandbox", clock=city.clock)
    city.hosts[HOLDER_URL] = made  # type: ignore[assignment]
    return app


def test_the_guides_lines_make_the_middleware(city: City, configure: Callable[..., Path]) -> None:
    path = configure("middleware")
    scope: dict[str, Any] = {"existing_app": existing(city)}
    exec(compile(example("python", "middleware").replace("holder.toml", str(path)), "guide", "exec"), scope)
    assert isinstance(scope["app"], EnforcedApp)


def test_a_middleware(city: City, behind: Starlette) -> None:
    anna = city.resident()
    grant_id = income(city, anna)
    assert behind.state.seen == ["http://upstream.invalid/residents?nif=99999990S"]
    assert read(city, grant_id, over_http(city)) == {"income.band": "3"}
    assert len(behind.state.seen) == 2
    city.withdraw(anna, grant_id)
    assert read(city, grant_id, over_http(city)) == ["withdrawn"]
    assert len(behind.state.seen) == 2, "without a permission the application is not asked"
    answer = city.call("POST", "/links", json=city.link_body(Wallet("00000000T")))
    assert answer.status_code == 400, "nobody of that number"


def test_the_application_cannot_be_reached_through_it(city: City, behind: Starlette) -> None:
    for path in ("/residents/7", "/residents?nif=99999990S", "/", "/data/../residents/7", "//residents/7"):
        assert city.call("GET", path).status_code == 404, path
    assert behind.state.seen == []


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"income": {"amount": "a lot"}}),
        JSONResponse({"income": {"amount": True}}),
        JSONResponse({"income": {}}),
        JSONResponse({"income": 5}),
        JSONResponse([1]),
        JSONResponse({"income": {"amount": 1}}, 500),
        JSONResponse({}, 404),
        Response("not json"),
        Response('{"income": {"amount": 1}, "income": {"amount": 2}}'),
        Response("x" * 1_048_577),
    ],
    ids=["text", "boolean", "missing", "no object", "list", "500", "404", "no json", "twice", "too long"],
)
def test_an_odd_answer_of_the_application_releases_nothing(city: City, behind: Starlette, answer: Response) -> None:
    anna = city.resident()
    grant_id = income(city, anna)
    behind.state.answer = answer
    assert read(city, grant_id, over_http(city)) == "register_unavailable"
    assert [one["attributes"] for one in city.journal(anna)["releases"]] == [[]]


def test_startup_and_shutdown_reach_both(city: City, configure: Callable[..., Path]) -> None:
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        told.append("up")
        yield
        told.append("down")

    app = Starlette(lifespan=lifespan)
    made = gate.enforced(app, configure("middleware"), profile="sandbox", clock=city.clock)
    with TestClient(made):
        assert told == ["up"]
    assert told == ["up", "down"]


def test_an_application_that_does_not_start_serves_nothing(city: City, configure: Callable[..., Path]) -> None:
    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        raise RuntimeError("no database")
        yield

    made = gate.enforced(Starlette(lifespan=lifespan), configure("middleware"), profile="sandbox", clock=city.clock)
    with pytest.raises(RegisterFault, match="does not start"), TestClient(made):
        pass


def test_an_application_that_is_slow_releases_nothing(
    city: City, behind: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "ANSWER_SECONDS", 0.05)

    async def slow(_: Request) -> Response:
        await asyncio.sleep(5)
        return JSONResponse({})

    grant_id = income(city, city.resident())
    behind.router.routes.insert(0, Route("/residents/{row}", slow))
    assert read(city, grant_id, over_http(city)) == "register_unavailable"
