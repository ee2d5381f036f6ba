"""The auditor's pages: what they show, what they refuse, and that they need no script and nobody else."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from string import Formatter

import pytest
from starlette.testclient import TestClient

import atorga.explorer
from atorga.explorer import picture, plots
from atorga.explorer.app import MAX_BODY_BYTES, make_app
from atorga.explorer.state import Explored
from atorga.explorer.texts import LANGUAGES, Texts, chosen, load
from consent.ledger.leaf import DAY_ONLY, Kind
from consent.log import merkle, note
from consent.log.note import NoteKey
from consent.log.proof import Proof
from consent.log.reader import Fetch, from_folder
from consent.log.writer import LogWriter
from identity.codec import strict_json
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_history import History

ORIGIN = "log.example/log/2026"
SIGNER = Ed25519Signer(bytes(32))
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
PAST = 29_000_000


class City:
    """What a consent service serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "log"
        self.history = History(Random(7), minute=PAST)
        self.services: bytes | None = None

    def write(self) -> str:
        """The proof of the newest entry."""
        log = LogWriter(self.folder, ORIGIN, SIGNER)
        log.append(self.history.entries[log.size :])
        proof = log.prove(log.size - 1)
        log.close()
        return proof

    def below(self, prefix: str) -> Fetch:
        if prefix == "log/":
            return from_folder(self.folder)
        return lambda path, most: self.services if (prefix, path) == ("", "services") else None


@pytest.fixture
def city(tmp_path: Path) -> City:
    city = City(tmp_path)
    city.services = strict_json.compact(
        {
            "services": [{"id": "urn:atorga:party:social", "number": 1}],
            "purposes": [{"iri": "https://w3id.org/dpv#ServiceProvision", "number": 1}],
        }
    )
    history = city.history
    grant = history.give(mask=0b101, max_uses=3)
    history.use(grant)
    history.end(grant)
    history.minute += 3
    history.deny(grant)
    for _ in range(300):
        history.other(Kind.DECLARE, service=0, purpose=0)
    city.write()
    return city


@pytest.fixture
def explored(city: City, tmp_path: Path) -> Explored:
    explored = Explored("http://localhost:1", KEY, tmp_path / "mirror", below=city.below)
    explored.refresh()
    return explored


@pytest.fixture
def browser(explored: Explored) -> TestClient:
    return TestClient(make_app(explored), base_url="http://127.0.0.1:8190")


def upload(browser: TestClient, pasted: str = "", file: bytes | None = None) -> tuple[int, str]:
    files = {"receipt": (None, pasted)} | ({"file": ("r.json", file)} if file is not None else {})
    answer = browser.post("/brought?lang=en", files=files)
    return answer.status_code, answer.text


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Everything that the log can show holds."), ("es", "Se cumple todo"), ("ca", "Es compleix tot")],
)
def test_the_first_page_tells_what_the_audit_found(browser: TestClient, language: str, said: str) -> None:
    page = browser.get("/", params={"lang": language})
    assert page.status_code == 200 and said in page.text and f'<html lang="{language}">' in page.text
    assert page.text.count("<svg") == 2
    assert Texts(language)("invariant.ending") in page.text


def test_an_entry_in_words_and_its_proof_as_a_picture(browser: TestClient) -> None:
    page = browser.get("/entry?index=0&lang=en").text
    for told in (
        "giving",
        "urn:atorga:party:social",
        "Service Provision",
        "1, 3",
        "Uses at most",
        "304",
    ):
        assert told in page
    assert page.count('class="hash given"') == len(re.findall(r"<tr><td class=\"number\">[1-9]", page)) == 9
    assert "2025-02" in page


def test_a_coarse_leaf_tells_only_its_day(city: City, explored: Explored, browser: TestClient) -> None:
    city.history.other(Kind.NOTICE, flags=DAY_ONLY)
    city.write()
    explored.refresh()
    page = browser.get("/entry?index=304&lang=en").text
    assert "Only the day is told" in page and not re.search(r"\d\d:\d\d UTC", page)


def test_what_was_found_is_linked_to_its_entry(city: City, explored: Explored, browser: TestClient) -> None:
    city.history.use(city.history.ended[0])
    city.write()
    browser.post("/refresh?lang=en")
    page = browser.get("/?lang=en").text
    assert "does NOT keep its promises" in page and "a USE of a grant that had ended at entry 2" in page
    assert "/entry?index=304&amp;period=2026&amp;lang=en" in page


def test_a_proof_is_looked_up(city: City, explored: Explored, browser: TestClient) -> None:
    proof = city.write()
    for code, page in (
        upload(browser, proof),
        upload(browser, file=proof.encode()),
        upload(browser, proof.replace("\n", "\r\n")),
    ):
        assert code == 200 and "Your own copy has the same entry there." in page and "Entry 303" in page
    city.history.other(Kind.DECLARE)
    newer = city.write()
    assert "It is newer than your copy" in upload(browser, newer)[1]
    explored.refresh()
    assert "Your own copy has the same entry there." in upload(browser, newer)[1]


def test_a_checkpoint_is_held_against_the_copy(city: City, browser: TestClient, tmp_path: Path) -> None:
    signed = (city.folder / "checkpoint").read_text()
    code, page = upload(browser, signed)
    assert code == 200 and "the beginning of what your copy holds" in page
    other = LogWriter(tmp_path / "other", ORIGIN, SIGNER)
    other.append(city.history.entries[:100])
    early = other.signed_checkpoint
    other.append([bytes(80)])
    forked, proof = other.signed_checkpoint, other.prove(100)
    other.close()
    assert upload(browser, early)[0] == 200
    code, page = upload(browser, forked)
    assert code == 400 and "does not lead to both roots" in page and "it is evidence" in page
    code, page = upload(browser, proof)
    assert code == 400


def test_two_histories_are_called_so(city: City, browser: TestClient, tmp_path: Path) -> None:
    other = LogWriter(tmp_path / "other", ORIGIN, SIGNER)
    history = History(Random(8), minute=PAST)
    history.give()
    other.append(history.entries)
    proof = other.prove(0)
    other.close()
    code, page = upload(browser, proof)
    assert code == 400 and "TWO HISTORIES" in page


@pytest.mark.parametrize(
    "content",
    ["", "nonsense", "{}", '{"type":"ConsentReceipt"}', "c2sp.org/tlog-proof@v1\n", "<script>alert(1)</script>"],
)
def test_what_is_no_receipt(browser: TestClient, content: str) -> None:
    code, page = upload(browser, content)
    assert code == 400 and "<script>" not in page


def test_more_than_a_receipt_can_be(browser: TestClient) -> None:
    assert upload(browser, file=b"x" * 300_000)[0] == 400
    assert upload(browser, file=b"x" * (MAX_BODY_BYTES + 1))[0] == 400
    assert browser.post("/brought", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400
    assert browser.post("/brought", content=b"x", headers={"content-type": "text/plain"}).status_code == 400


@pytest.mark.parametrize(
    "query", ["index=304", "index=-1", "index=x", "", "index=0&period=2025", "index=0&period=../..", "index=²"]
)
def test_entries_that_are_not_there(browser: TestClient, query: str) -> None:
    assert browser.get(f"/entry?{query}").status_code == 404


def test_only_this_machine_and_only_its_own_forms(browser: TestClient) -> None:
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 400
    assert browser.get("/", headers={"host": "localhost:8190"}).status_code == 200
    assert browser.post("/refresh", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_without_a_log_it_says_so(tmp_path: Path) -> None:
    explored = Explored("http://localhost:1", KEY, tmp_path, below=City(tmp_path / "nothing").below)
    explored.refresh()
    page = TestClient(make_app(explored), base_url="http://localhost").get("/")
    assert page.status_code == 503 and "it has no checkpoint" in page.text


def test_a_log_that_turns_aside_is_shown_as_such(city: City, explored: Explored, browser: TestClient) -> None:
    import shutil

    shutil.rmtree(city.folder)
    city.history = History(Random(9), minute=PAST)
    for _ in range(400):
        city.history.other(Kind.DECLARE, service=0, purpose=0)
    city.write()
    explored.refresh()
    page = browser.get("/?lang=en").text
    assert "an earlier checkpoint of the same log has another root" in page and "could not be followed further" in page
    assert "giving" in browser.get("/entry?index=0&lang=en").text, "the copy is what it was"


# ── every page ───────────────────────────────────────────────────────────────────────────────────


class Reader(HTMLParser):
    """Ids, labels, and everything that would run or be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[str] = []
        self.fetched: list[str] = []
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "label":
            self.labelled.add(values["for"])
        if tag in ("input", "textarea", "select") and values.get("type") != "hidden":
            self.fields.append(values["id"])
        self.fetched += [values[name] for name in ("src", "action") if name in values]
        if tag == "link" or tag == "a":
            self.fetched.append(values["href"])
        if tag in ("script", "style", "iframe") or any(name.startswith("on") or name == "style" for name in values):
            self.forbidden.append(tag)


PAGES = ("/", "/entry?index=1", "/entry?index=9999")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_script_no_style_of_its_own_nobody_else(browser: TestClient, path: str, language: str) -> None:
    answer = browser.get(path, headers={"accept-language": language})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
    assert answer.headers["content-language"] == language
    reader = Reader()
    reader.feed(answer.text)
    assert not reader.forbidden and all(address.startswith(("/", "#")) for address in reader.fetched)
    assert len(reader.ids) == len(set(reader.ids)) and set(reader.fields) <= reader.labelled
    assert "{" not in re.sub(r"<[^>]*>", "", answer.text)


def test_the_style_is_served(browser: TestClient) -> None:
    assert browser.get("/static/explorer.css").headers["content-type"].startswith("text/css")
    assert "url(" not in browser.get("/static/explorer.css").text


def test_every_language_says_the_same_things() -> None:
    def places(sentence: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(sentence) if name}

    english = load("en")
    for language in LANGUAGES:
        table = load(language)
        assert table.keys() == english.keys()
        assert all(places(table[key]) == places(english[key]) for key in english)
    assert {f"means.{kind.word}" for kind in Kind} == {key for key in english if key.startswith("means.")}


def test_every_text_is_used() -> None:
    folder = Path(atorga.explorer.__file__).parent
    source = "".join(path.read_text() for path in [*folder.glob("*.py"), *folder.glob("templates/*.html")])
    assert not [
        key
        for key in load("en")
        if not key.startswith("means.") and f"'{key}'" not in source and f'"{key}"' not in source
    ]


@pytest.mark.parametrize(("asked", "accepted", "language"), [
    ("ca", "en", "ca"), (None, "fr, en;q=0.8", "en"), (None, "ca-ES,es", "ca"), (None, "", "es"), ("../x", "", "es"),
])  # fmt: skip
def test_the_language_of_a_page(asked: str | None, accepted: str, language: str) -> None:
    assert chosen(asked, accepted) == language


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 300])
def test_the_ladder_ends_at_the_root(tmp_path: Path, size: int) -> None:
    log = LogWriter(tmp_path, ORIGIN, SIGNER)
    entries = [bytes([n % 256, n // 256]) for n in range(size)]
    log.append(entries)
    for index in {0, size // 2, size - 1}:
        proof = Proof.parse(log.prove(index))
        rungs = picture.ladder(entries[index], index, size, proof.path)
        made = [merkle.leaf_hash(entries[index]), *(rung.made for rung in rungs)]
        assert made[-1] == note.decode_base64(proof.checkpoint.split("\n")[2], what="root")
        drawn = picture.draw(entries[index], index, size, proof.path, Texts("en"))
        assert drawn.count("<g ") == 2 * len(rungs) + 1
    log.close()


@pytest.mark.parametrize("counted", [{5: 1}, {5: 1, 6: 3}, {n: n for n in range(1, 5_000, 3)}])
def test_plots_stay_in_their_frame(counted: dict[int, int]) -> None:
    number: Callable[[int], str] = str
    for drawn in (
        plots.growth(counted, label="a<b", number=number),
        plots.bars(counted, label="a<b", number=number, more="m"),
    ):
        assert 'aria-label="a&lt;b"' in drawn and len(drawn) < 60_000
        numbers = re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", drawn)
        assert all(0 <= float(x) <= plots.WIDTH and 0 <= float(y) <= plots.HEIGHT for x, y in numbers)
    assert plots.growth({}, label="", number=number) == plots.bars({}, label="", number=number, more="") == ""


def test_round_numbers() -> None:
    assert [plots.nice(value) for value in (1, 7, 11, 99, 3_000, 8_001)] == [1, 8, 20, 100, 3_000, 10_000]
