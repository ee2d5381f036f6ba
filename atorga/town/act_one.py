"""Act 1, told: from the card to the audit."""

from dataclasses import dataclass

from atorga.town import story
from atorga.town.actors import Browser, Resident, StoryFailed
from atorga.town.configuration import PROCEDURE, PURPOSE
from atorga.town.dishonest import DishonestCity
from atorga.town.padron import RESIDENTS
from atorga.town.stage import Stage
from identity.codec import strict_json

COPIES = 10


@dataclass(frozen=True, slots=True)
class FirstAct:
    """What the second act and the closing need of the first."""

    resident: Resident
    grant_id: str
    refused_milliseconds: float
    consent_screen: str


def play(stage: Stage) -> FirstAct:
    """Raises StoryFailed where a step does not end as it must."""
    narration, city = stage.narration, stage.city
    narration.step("city", ("data", {"path": city["data"]}), ("population", {"residents": f"{RESIDENTS:,}"}))
    resident = story.new_wallet(city, stage.root / "wallet", passphrase=stage.passphrase, language=narration.language)
    narration.step("wallet", ("store", {"path": resident.store}), ("parties", {"count": story.listed_parties(city)}))
    narration.wait("card")
    received = story.receive_with_card(city, resident)
    narration.step(
        "card",
        ("credentials", {"count": len(received.answer["credentials"])}),
        ("seconds", {"seconds": f"{received.seconds:.1f}"}),
    )
    browser = Browser()
    try:
        login = story.log_in(city, resident, browser)
    finally:
        browser.close()
    narration.step("login", *_shown(login))
    given = story.grant(city, resident)
    grant_id = given.answer["grant_id"]
    narration.step(
        "grant", *(("screen", {"line": line}) for line in _telling(given.screen)), ("grant", {"grant_id": grant_id})
    )
    read = city.read(grant_id, story.ATTRIBUTE)
    if read.get("state") != "released":
        raise StoryFailed(f"read: {read}")
    narration.step("use", ("value", {"value": read["value"]}), ("leaf", {"index": read["leaf_index"]}))
    timeline = resident.wallet("timeline")
    narration.step("timeline", *(("screen", {"line": line}) for line in timeline.screen.strip().splitlines()[:2]))
    withdrawn = story.withdraw(resident, grant_id)
    narration.step("withdraw", ("doors", {"doors": _doors(withdrawn.answer["doors"])}))
    refused = story.refused_read(city, grant_id)
    anyway = DishonestCity(stage.town.folder).read_anyway(
        grant_id, story.ATTRIBUTE, purpose=PURPOSE, procedure=PROCEDURE
    )
    if anyway.status != 403:
        raise StoryFailed(f"read after withdrawal: the data holder answered {anyway.status}")
    narration.step(
        "refused",
        ("reasons", {"reasons": ", ".join(refused.answer["reasons"])}),
        ("milliseconds", {"ms": f"{refused.milliseconds:.0f}"}),
        ("anyway", {"answer": anyway.words}),
    )
    narration.step("export", ("export", {"events": _exported(stage, resident)}))
    narration.wait("audit")
    _audit(stage)
    return FirstAct(resident, grant_id, refused.milliseconds, given.screen)


def _exported(stage: Stage, resident: Resident) -> int:
    """How many events the copy has; those that the resident cannot open would be of a wallet that was lost."""
    path = stage.root / "export.json"
    if resident.wallet("consent", "export", "--to", str(path)).answer["still_sealed"]:
        raise StoryFailed("export: not every event could be opened")
    accounts = strict_json.parse_object(path.read_bytes(), what="export")["accounts"]
    return sum(len(one["timeline"]) for one in accounts)


def _audit(stage: Stage) -> None:
    audited = stage.audit(stage.city["consent"])
    if not audited.passed:
        raise StoryFailed(f"audit: {audited.report}")
    uses = audited.report["kinds"].get("use", 0)
    stage.narration.step(
        "audit", ("audit", {"leaves": audited.report["leaves_read"], "uses": uses}), stage.go.agrees(stage)
    )


def _shown(login: story.Login) -> tuple[tuple[str, dict[str, object]], ...]:
    """The portal's own words about what it learnt."""
    shown = login.page.definitions()
    if not shown:
        raise StoryFailed(f"login: {login.page.status}: {login.page.text[:400]}")
    return tuple(("portal", {"text": f"{term}: {what}"}) for term, what in shown)


def _telling(screen: str) -> list[str]:
    """The first lines of what the wallet asked: who, what, why."""
    lines = [line.strip() for line in screen.splitlines() if line.strip()]
    return lines[:6]


def _doors(doors: dict[str, str]) -> str:
    return ", ".join(f"{door} {answer}" for door, answer in doors.items())
