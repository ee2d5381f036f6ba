"""Act 1: the story that must always work (DESIGN section 1), as functions that the demo and the tests share.

card → credential → login → consent → use → withdrawal → refusal. Each step is done by whoever does
it in life: the resident by the ``wallet`` command, the browser by HTTP, the service by its own process.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from atorga.town.actors import Browser, City, Page, Ran, Resident, StoryFailed
from identity.codec import base64url, strict_json

CONFIGURATIONS = ("person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt")
ATTRIBUTE = "income.band"


@dataclass(frozen=True, slots=True)
class Login:
    """What the portal showed after the login, and the presentation that made it."""

    page: Page
    presented: Ran


@dataclass(frozen=True, slots=True)
class Refusal:
    answer: dict[str, Any]
    milliseconds: float
    """From the end of the withdrawal to the refused answer."""


def new_wallet(city: City, folder: Path, *, passphrase: str, language: str = "en") -> Resident:
    """A sandbox wallet that knows the city's roots and its signed list."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = folder / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text(passphrase + "\n", encoding="utf-8")
    resident = Resident(folder / "store", secret, language)
    resident.wallet("init", "--sandbox")
    resident.wallet("trust", "add", city["trust_pem"])
    resident.wallet("trust", "add", "--registry", city["registry"])
    return resident


def listed_parties(city: City) -> int:
    """How many parties the signed list names; the wallet has verified it, this only counts."""
    payload = httpx.get(city["registry"], trust_env=False).text.split(".")[1]
    return len(strict_json.parse_object(base64url.decode(payload), what="list", max_bytes=2**20)["parties"])


def receive_with_card(city: City, resident: Resident) -> Ran:
    """An offer that needs identification; the wallet answers it with the card."""
    offer = city.offer(CONFIGURATIONS, "authorization_code")
    return resident.wallet(
        "offer", "accept", offer["credential_offer"], "--yes",
        "--card", str(city["card"]), "--pin-file", str(city["card_pin_file"]),
    )  # fmt: skip


def log_in(city: City, resident: Resident, browser: Browser) -> Login:
    """Opens the portal's login page, lets the wallet answer, goes on in the same browser."""
    page = browser.open(f"{city['portal']}/login")
    link, _ = page.wallet_link()
    presented = resident.wallet("present", link, "--yes")
    back = presented.answer.get("redirect_uri")
    if presented.answer.get("state") != "presented" or not back:
        raise StoryFailed(f"login: the wallet was sent nowhere: {presented.answer}")
    return Login(browser.open(back), presented)


def grant(city: City, resident: Resident, **asked: Any) -> Ran:
    """Social services ask; the resident agrees to all of it."""
    request = city.ask_consent(**asked)
    given = resident.wallet("consent", "grant", request["request"], "--yes")
    if given.answer.get("state") != "given":
        raise StoryFailed(f"grant: {given.answer}")
    return given


def withdraw(resident: Resident, grant_id: str) -> Ran:
    return resident.wallet("consent", "withdraw", grant_id, "--yes")


def refused_read(city: City, grant_id: str, attribute: str = ATTRIBUTE) -> Refusal:
    """A read right after the withdrawal. Raises StoryFailed where anything comes back."""
    began = time.perf_counter()
    answer = city.read(grant_id, attribute)
    spent = (time.perf_counter() - began) * 1000
    if answer.get("state") != "refused" or answer.get("value") is not None:
        raise StoryFailed(f"read after withdrawal: {answer}")
    return Refusal(answer, spent)
