"""What lies in the verifier's folder opens nothing, and holds no value in clear."""

import secrets
from pathlib import Path

import pytest

from identity.errors import EnvelopeError
from tests.paper_city import PaperCity
from tests.unit.verifier.desk import Desk
from verifier.schema import open_database
from verifier.sealing import Sealing, sealing_from
from verifier.sessions import RequestStore, State, StoredRequest
from verifier.tables import request as request_table

KEY = Sealing(bytes(range(32)))


def test_sealed_values_open_under_their_secret_and_purpose_alone() -> None:
    sealed = KEY.seal("a", "secret", b"value", random=secrets.token_bytes)
    assert b"value" not in sealed
    assert KEY.open("a", "secret", sealed) == b"value"
    for other, purpose, secret in ((KEY, "b", "secret"), (KEY, "a", "other"), (Sealing(bytes(32)), "a", "secret")):
        with pytest.raises(EnvelopeError):
            other.open(purpose, secret, sealed)
    with pytest.raises(EnvelopeError):
        KEY.open("a", "secret", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(EnvelopeError):
        KEY.open("a", "secret", b"")


def test_reader_keys_and_secrets_follow_from_key_and_secret() -> None:
    assert KEY.reader_key("s").public == KEY.reader_key("s").public
    assert KEY.reader_key("s").public != KEY.reader_key("t").public
    assert KEY.reader_key("s").public != Sealing(bytes(32)).reader_key("s").public
    assert KEY.secret("a", "s") == KEY.secret("a", "s") != KEY.secret("b", "s")
    assert len(KEY.secret("a", "s")) == 43


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "sealing-key"
    first = sealing_from(path, random=secrets.token_bytes)
    assert path.stat().st_mode & 0o777 == 0o600
    again = sealing_from(path, random=secrets.token_bytes)
    assert again.open("a", "s", first.seal("a", "s", b"x", random=secrets.token_bytes)) == b"x"
    assert [one.name for one in path.parent.iterdir()] == ["sealing-key"]
    path.write_bytes(b"short")
    with pytest.raises(EnvelopeError, match="32"):
        sealing_from(path, random=secrets.token_bytes)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_no_value_and_no_secret_lies_in_a_file(city: PaperCity, tmp_path: Path) -> None:
    desk = Desk(city, tmp_path / "verifier")
    link, request_id = desk.ask()
    request = desk.read(link)
    handle = request.response_uri.rsplit("/", 1)[1]
    pending = everything(desk.folder)
    for secret in (handle, request_id):
        assert secret.encode() not in pending
    assert desk.present(request, [city.residency()]).status_code == 200
    lying = everything(desk.folder)
    assert b"atorga:residency" in lying, "the query is public, so the search does find what lies there"
    for value in ("Gràcia-2c81", "2c81", handle, request_id):
        assert value.encode() not in lying
    assert desk.state(request_id)["claims"] == {"residency": [{"district": "Gràcia-2c81"}]}


def test_the_database_alone_opens_no_result(city: PaperCity, tmp_path: Path) -> None:
    desk = Desk(city, tmp_path / "verifier")
    link, request_id = desk.ask()
    desk.present(desk.read(link), [city.residency()])
    (tmp_path / "verifier" / "sealing-key").unlink()
    with pytest.raises(EnvelopeError):
        Desk(city, tmp_path / "verifier").state(request_id)


def test_the_key_that_opens_answers_is_erased_with_the_answer(city: PaperCity, tmp_path: Path) -> None:
    desk = Desk(city, tmp_path / "verifier")
    link, _ = desk.ask()
    request = desk.read(link)
    store = open_database(tmp_path / "verifier" / "verifier.sqlite3")

    def keys() -> list[bytes | None]:
        with store.begin() as connection:
            return [row.decryption_key for row in connection.execute(request_table.select())]

    assert keys() != [None]
    desk.present(request, [city.residency()])
    assert keys() == [None]


def stored(**change: object) -> StoredRequest:
    made: dict[str, object] = {
        "handle_hash": b"h",
        "reader_hash": b"r",
        "reader_key": b"k" * 32,
        "procedure": "p",
        "flow": "direct",
        "state": State.PENDING,
        "expires": 100,
        "client_id_prefix": "x509_hash",
        "response_mode": "direct_post",
        "nonce": "n",
        "wire_state": "s",
        "query": "{}",
        "stand_in": None,
        "return_uri": None,
        "kid": None,
        "decryption_key": b"d",
        "encryption_jwk": None,
        **change,
    }
    return StoredRequest(**made)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> RequestStore:
    return RequestStore(open_database(tmp_path / "v.sqlite3"))


def test_one_end_only(store: RequestStore) -> None:
    assert store.add(stored(), now=0)
    assert not store.add(stored(nonce="other"), now=0)
    assert store.verify(b"h", result="sealed", code_hash=b"c", now=1, result_seconds=10)
    assert not store.verify(b"h", result="again", code_hash=None, now=1, result_seconds=10)
    assert not store.refuse(b"h", error="e", description="", now=1)
    found = store.find(b"h")
    assert found is not None
    assert (found.state, found.result, found.decryption_key, found.expires) == ("verified", "sealed", None, 11)
    assert found == store.by_code(b"c")
    assert store.by_reader(b"r") == [found]


def test_read_once(store: RequestStore) -> None:
    store.add(stored(), now=0)
    assert store.read(b"h", now=1) is None
    store.verify(b"h", result="sealed", code_hash=b"c", now=1, result_seconds=10)
    assert store.read(b"h", now=2) == "sealed"
    assert store.read(b"h", now=2) is None
    found = store.find(b"h")
    assert found is not None
    assert (found.state, found.result, found.code_hash) == ("read", None, None)


def test_a_result_has_its_time(store: RequestStore) -> None:
    store.add(stored(), now=0)
    store.verify(b"h", result="sealed", code_hash=None, now=1, result_seconds=10)
    assert store.read(b"h", now=11) is None


def test_nothing_ends_after_its_time(store: RequestStore) -> None:
    store.add(stored(), now=0)
    assert not store.verify(b"h", result="sealed", code_hash=None, now=100, result_seconds=10)
    assert not store.refuse(b"h", error="e", description="", now=100)


def test_rejecting_erases_the_result(store: RequestStore) -> None:
    store.add(stored(), now=0)
    store.reject(b"h", error="e", description="d")
    assert store.find(b"h") == stored()
    store.verify(b"h", result="sealed", code_hash=b"c", now=1, result_seconds=10)
    store.reject(b"h", error="e", description="d")
    found = store.find(b"h")
    assert found is not None
    assert (found.state, found.error, found.result, found.code_hash) == ("refused", "e", None, None)


def test_what_nobody_comes_for_is_erased(store: RequestStore) -> None:
    store.add(stored(), now=0)
    store.verify(b"h", result="sealed", code_hash=b"c", now=1, result_seconds=10)
    store.add(stored(handle_hash=b"i", expires=1_000), now=11)
    found = store.find(b"h")
    assert found is not None
    assert (found.result, found.code_hash, found.state) == (None, None, "read")
    store.add(stored(handle_hash=b"j", expires=10_000), now=11 + 3_600)
    assert store.find(b"h") is None
    assert store.find(b"i") is not None
