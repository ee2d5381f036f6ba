"""Witnesses cosign in the background; only a sensitive purpose waits for them."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consent.errors import LogError, NotCosigned, OldSizeDiffers
from consent.log import note
from consent.log.note import COSIGNATURE_V1, ED25519, NoteKey
from consent.log.quorum import Quorum
from consent.log.submission import MEDIA_SIZE
from consent.log.witness import Witness, log_and_its_periods
from consent.log.witness_client import Answer, WitnessClient
from consent.service.cosigning import Cosigning
from identity.errors import TrustError
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_city import ORIGIN, ConsentCity, Held, Keys, Wallet

NAMES = ("one.example", "two.example", "three.example")


class Witnesses:
    """Three witnesses in this process; ``down`` names those that do not answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signers = {name: Ed25519Signer(secrets.token_bytes(32)) for name in NAMES}
        self.down: set[str] = set()
        self.asked = 0

    def key(self, name: str) -> NoteKey:
        return NoteKey(name, COSIGNATURE_V1, self.signers[name].public)

    def quorum(self, threshold: int) -> Quorum:
        return Quorum(tuple(map(self.key, NAMES)), threshold)

    def clients(self, log: Ed25519Signer) -> list[WitnessClient]:
        key = NoteKey(ORIGIN, ED25519, log.public)
        return [WitnessClient(f"https://{name}", self.key(name), self._post(name, key)) for name in NAMES]

    def _post(self, name: str, log: NoteKey) -> Callable[[str, bytes], Answer]:
        witness = Witness(
            self.folder / name, name, self.signers[name], log_keys=log_and_its_periods(log), clock=time.time
        )

        def post(url: str, body: bytes) -> Answer:
            self.asked += 1
            if name in self.down:
                raise NotCosigned(f"witness {name}: cannot be reached")
            try:
                return Answer(200, "text/plain", witness.add_checkpoint(body).format().encode())
            except OldSizeDiffers as fault:
                return Answer(409, MEDIA_SIZE, f"{fault.size}\n".encode())

        return post


@pytest.fixture
def witnesses(tmp_path: Path) -> Witnesses:
    return Witnesses(tmp_path / "witnesses")


@pytest.fixture
def city(tmp_path: Path, witnesses: Witnesses) -> Iterator[ConsentCity]:
    (tmp_path / "consent").mkdir()
    city = ConsentCity(tmp_path / "consent", keys=Keys(), witnesses=witnesses.clients, quorum=witnesses.quorum(2))
    city.declare_all()
    yield city
    city.close()


def sensitive(city: ConsentCity) -> Held:
    city.declare(city.purpose_declaration(version=2, sensitive=True))
    wallet = Wallet(city).enrolled()
    return wallet.give(city.ask(city.detail(identifier="rent-subsidy@2")))


def cosigners(signed: str, witnesses: Witnesses) -> set[str]:
    return set(Quorum(tuple(map(witnesses.key, NAMES)), 1).times(note.parse(signed)))


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_served_checkpoint_gets_its_cosignatures(city: ConsentCity, witnesses: Witnesses) -> None:
    soon(lambda: cosigners(city.get("/log/checkpoint").text, witnesses) == set(NAMES))
    size = city.office.sequencer.writer.size
    kept = (city.folder / "log" / f"checkpoint.{size}").read_text()
    assert cosigners(kept, witnesses) == set(NAMES)


def test_a_usual_purpose_waits_for_nobody(city: ConsentCity, witnesses: Witnesses) -> None:
    witnesses.down = set(NAMES)
    wallet = Wallet(city).enrolled()
    held = wallet.give()
    use = city.use_request(held.id)
    city.prove(city.use(use), use, wallet)


def test_a_sensitive_purpose_waits_for_its_quorum(city: ConsentCity, witnesses: Witnesses) -> None:
    witnesses.down = {NAMES[2]}
    held = sensitive(city)
    wallet = Wallet(city)
    use = city.use_request(held.id)
    answer = city.use(use)
    # The link key is another wallet's here; what counts is the checkpoint under the proof.
    allow = city.answer(answer, use)
    assert witnesses.quorum(2).met(note.parse(allow.proof.partition("\n\n")[2]))  # type: ignore[union-attr]
    with pytest.raises(Exception, match="the link is not known here"):
        city.prove(answer, use, wallet, witnesses.quorum(2))


def test_a_sensitive_purpose_without_its_quorum_is_refused(
    city: ConsentCity, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = sensitive(city)
    witnesses.down = set(NAMES[1:])
    monkeypatch.setattr("consent.service.deciding.LOG_SECONDS", 0.3)
    answer = city.use(city.use_request(held.id))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


def test_a_witness_that_comes_back_catches_up(
    city: ConsentCity, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consent.service.cosigning.RETRY_SECONDS", 0.05)
    witnesses.down = {NAMES[0]}
    Wallet(city).enrolled().give()
    soon(lambda: cosigners(city.get("/log/checkpoint").text, witnesses) == set(NAMES[1:]))
    witnesses.down = set()
    soon(lambda: cosigners(city.get("/log/checkpoint").text, witnesses) == set(NAMES))


def test_once_all_have_cosigned_nobody_is_asked_again(
    city: ConsentCity, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consent.service.cosigning.RETRY_SECONDS", 0.02)
    soon(lambda: cosigners(city.get("/log/checkpoint").text, witnesses) == set(NAMES))
    time.sleep(0.1)
    asked = witnesses.asked
    time.sleep(0.3)
    assert witnesses.asked == asked


def test_cosignatures_that_cannot_be_kept_change_nothing(
    city: ConsentCity, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise LogError("damaged")

    monkeypatch.setattr(city.office.sequencer.writer, "add_cosignatures", failing)
    wallet = Wallet(city).enrolled()
    held = wallet.give()
    use = city.use_request(held.id)
    city.prove(city.use(use), use, wallet)


def test_a_quorum_of_the_log_s_own_witnesses_is_none(tmp_path: Path, witnesses: Witnesses) -> None:
    """DESIGN §8: without a witness of another legal body it is "not witnessed", and sensitive purposes wait in vain."""
    for foreign, witnessed in (((), False), (NAMES[:1], False), (NAMES[:2], True)):
        cosigning = Cosigning(None, (), witnesses.quorum(2), foreign=lambda foreign=foreign: foreign)  # type: ignore[arg-type, misc]
        assert cosigning.is_witnessed() is witnessed

    def unknown() -> tuple[str, ...]:
        raise TrustError("registry: not reachable")

    assert not Cosigning(None, (), witnesses.quorum(2), foreign=unknown).is_witnessed()  # type: ignore[arg-type]
    assert not Cosigning(None, (), None).is_witnessed()  # type: ignore[arg-type]
    assert Cosigning(None, (), None).wait(0, seconds=0.01) is None  # type: ignore[arg-type]


def test_who_follows_learns_of_a_quorum(city: ConsentCity, witnesses: Witnesses) -> None:
    """Another process on the same folder asks no witness, and answers for a sensitive purpose all the same."""
    held = sensitive(city)
    second = ConsentCity(city.folder, keys=city.keys, witnesses=lambda _: [], quorum=witnesses.quorum(2))
    try:
        soon(lambda: second.office.sequencer.state == "following")
        use = second.use_request(held.id)
        allow = second.answer(second.use(use), use)
        assert witnesses.quorum(2).met(note.parse(allow.proof.partition("\n\n")[2]))  # type: ignore[union-attr]
    finally:
        second.close()


def test_without_witnesses_a_sensitive_purpose_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    city = ConsentCity(tmp_path / "alone")
    city.declare_all()
    held = sensitive(city)
    answer = city.use(city.use_request(held.id))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    city.close()
