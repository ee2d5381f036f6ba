"""C7: who asks, for whom and what for is in the nonce; and one challenge is answered once."""

import threading
from typing import Any

import pytest

from identity.card import challenge as room
from identity.card.challenge import Challenge, IssuedChallenge
from identity.errors import CardError

FIELDS = {
    "random": "p1zbQPuVTV8C5_n-sxmO6z63o5N6HOPIhTsl4w8n2H8",
    "binding": "bFdlayJa9GO0RUmzAvrlUUKmOiOCLkNH51AoE6EJZ_E",
    "issuer": "http://localhost:8100/bcn",
    "purpose": "issue",
    "session": "CiN06Uv7E70p6vRrx8OTHQ",
}
GRANT_ID = "CiN06Uv7E70p6vRrx8OTHQ"


class Store:
    """Single use by one lock, as a database does it by one statement."""

    def __init__(self) -> None:
        self._kept: dict[str, IssuedChallenge] = {}
        self._lock = threading.Lock()

    def put(self, issued: IssuedChallenge) -> None:
        self._kept[issued.challenge.session] = issued

    def take(self, session: str) -> IssuedChallenge | None:
        with self._lock:
            return self._kept.pop(session, None)


def made(**changes: str) -> Challenge:
    return Challenge(**{**FIELDS, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"random": "p1zbQPuVTV8C5_n-sxmO6z63o5N6HOPIhTsl4w8n2H9"},
        {"random": "CiN06Uv7E70p6vRrx8OTHQ"},
        {"random": FIELDS["random"] + "="},
        {"binding": "CiN06Uv7E70p6vRrx8OTHQ"},
        {"binding": ""},
        {"issuer": ""},
        {"issuer": "http://localhost:8100/bcn\n"},
        {"issuer": "https://ciutat.example/bçn"},
        {"issuer": "https://" + "x" * 520},
        {"purpose": "login"},
        {"purpose": "Issue"},
        {"session": FIELDS["binding"]},
        {"purpose": "withdraw"},
    ],
)
def test_a_field_of_another_shape_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(CardError, match="card challenge"):
        made(**changes)
    with pytest.raises(CardError, match="card challenge"):
        room.nonce(**{**FIELDS, **changes})


def test_every_field_changes_the_nonce() -> None:
    others = {
        "random": FIELDS["binding"],
        "binding": FIELDS["random"],
        "issuer": "http://localhost:8100/bcm",
        "purpose": "recover",
        "session": "p1zbQPuVTV8C5_n-sxmO6w",
    }
    nonces = {made().nonce, *(made(**{name: value}).nonce for name, value in others.items())}
    assert len(nonces) == 6
    assert all(len(nonce) == 44 for nonce in nonces)


def test_a_withdrawal_is_bound_to_a_grant_id() -> None:
    assert made(purpose="withdraw", binding=GRANT_ID).binding == GRANT_ID


def test_a_challenge_is_read_as_it_was_written() -> None:
    challenge = room.make_challenge(
        lambda size: bytes(range(size)), **{name: value for name, value in FIELDS.items() if name != "random"}
    )
    message = room.format_challenge(challenge)
    assert room.parse_challenge(message) == challenge
    assert message["expires_in"] == 300


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": made(purpose="recover").nonce},
        {"nonce": ""},
        {"purpose": "recover"},
        {"binding": FIELDS["random"]},
        {"expires_in": 301},
        {"expires_in": True},
        {"more": 1},
        {"session": None},
    ],
)
def test_a_message_that_does_not_explain_its_nonce(changes: dict[str, Any]) -> None:
    with pytest.raises(CardError):
        room.parse_challenge({**room.format_challenge(made()), **changes})


def test_a_challenge_is_used_once_whatever_becomes_of_it() -> None:
    store = Store()
    room.issue(store, made(), now=1_000)
    assert room.spend(store, session=FIELDS["session"], now=1_299.9) == made()
    with pytest.raises(CardError, match="none is waiting"):
        room.spend(store, session=FIELDS["session"], now=1_001)


def test_an_old_challenge_is_used_up_too() -> None:
    store = Store()
    room.issue(store, made(), now=1_000)
    with pytest.raises(CardError, match="older than 300"):
        room.spend(store, session=FIELDS["session"], now=1_300)
    with pytest.raises(CardError, match="none is waiting"):
        room.spend(store, session=FIELDS["session"], now=1_001)


def test_a_session_gets_its_own_challenge() -> None:
    class Confused(Store):
        def take(self, session: str) -> IssuedChallenge | None:
            return super().take(FIELDS["session"])

    store = Confused()
    room.issue(store, made(), now=1_000)
    with pytest.raises(CardError, match="another session"):
        room.spend(store, session="p1zbQPuVTV8C5_n-sxmO6w", now=1_000)


def test_of_racing_answers_one_gets_the_challenge() -> None:
    store, won = Store(), []
    barrier = threading.Barrier(8)

    def answer() -> None:
        barrier.wait()
        try:
            won.append(room.spend(store, session=FIELDS["session"], now=1_000))
        except CardError:
            return

    room.issue(store, made(), now=1_000)
    threads = [threading.Thread(target=answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [made()]


def test_the_code_to_compare() -> None:
    codes = {room.comparison_code(binding) for binding in (FIELDS["binding"], FIELDS["random"], GRANT_ID)}
    assert len(codes) == 3
    assert all(len(code) == 8 and set(code) <= set(room.CODE_ALPHABET) for code in codes)
    assert room.comparison_code(FIELDS["binding"]) == room.comparison_code(FIELDS["binding"])


def test_the_code_is_the_same_tomorrow() -> None:
    """Two programs of different age show it to the same person."""
    assert room.comparison_code("0uw3ZDlRblEShwQcyGsniwwsljvP5RcUcSGZ5rxVi3A") == "EEHCE9CS"
