"""Act 2, told: the city cheats five times with its real keys, and each time somebody notices."""

import time

from atorga.town import story
from atorga.town.act_one import FirstAct
from atorga.town.actors import StoryFailed
from atorga.town.configuration import PROCEDURE, PURPOSE
from atorga.town.dishonest import DishonestCity, backdate_withdrawal, served, without_last_use
from atorga.town.stage import Stage

INTEGRATION_SECONDS = 5.0


def play(stage: Stage, first: FirstAct) -> None:
    """Raises StoryFailed where a cheat is not caught."""
    stage.narration.act(2)
    operator = DishonestCity(stage.town.folder)
    # Copies of the log as it was when the auditor saw it: what follows leaves traces in the real one.
    _backdate(stage, operator)
    _fork(stage, operator)
    _delete(stage, operator, first)
    _forge(stage, operator)
    _after_withdrawal(stage, operator, first)


def _forge(stage: Stage, operator: DishonestCity) -> None:
    request = stage.city.ask_consent()
    grant_id = operator.forge_grant(request["id"])
    answer = operator.read_anyway(grant_id, story.ATTRIBUTE, purpose=PURPOSE, procedure=PROCEDURE)
    _require(answer.status != 200, "a forged grant released a datum")
    stage.narration.step("forge", ("caught", {"who": "holder", "how": answer.words}))


def _after_withdrawal(stage: Stage, operator: DishonestCity, first: FirstAct) -> None:
    operator.revive(first.grant_id)
    answer = operator.read_anyway(first.grant_id, story.ATTRIBUTE, purpose=PURPOSE, procedure=PROCEDURE)
    _require(answer.status == 403, f"a read after withdrawal was answered {answer.status}")
    operator.log_a_use(first.grant_id)
    # Any request makes the consent service write what waits.
    stage.city.ask_consent()
    audited = _audit_until(stage, stage.city["consent"])
    stage.narration.step(
        "after",
        ("caught", {"who": "holder", "how": answer.words}),
        ("caught", {"who": "auditor", "how": audited}),
        *stage.go.catches(stage, stage.town.folder.log_dir),
    )


def _delete(stage: Stage, operator: DishonestCity, first: FirstAct) -> None:
    operator.delete_use(first.grant_id)
    seen = first.resident.wallet("timeline", expect=1)
    description = str(seen.answer.get("error_description"))
    _require("timeline_gap" in description, f"the wallet did not miss the use: {seen.answer}")
    stage.narration.step("delete", ("caught", {"who": "wallet", "how": description}))


def _backdate(stage: Stage, operator: DishonestCity) -> None:
    forged = stage.root / "forged" / "backdated"
    operator.rewrite_log(forged, backdate_withdrawal)
    with served(forged) as url:
        caught = _audit_until(stage, url)
    stage.narration.step("backdate", ("caught", {"who": "auditor", "how": caught}), *stage.go.catches(stage, forged))


def _fork(stage: Stage, operator: DishonestCity) -> None:
    forged = stage.root / "forged" / "second"
    operator.rewrite_log(forged, without_last_use)
    refused = operator.show_to_witness(forged)
    _require(refused is not None, "the witness cosigned two histories of one log")
    with served(forged) as url:
        caught = _audit_until(stage, url)
    stage.narration.step(
        "fork",
        ("caught", {"who": "auditor", "how": caught}),
        ("caught", {"who": "witness", "how": refused}),
    )


def _audit_until(stage: Stage, url: str) -> str:
    """What the auditor finds wrong; the newest leaves may need a moment to be integrated."""
    deadline = time.monotonic() + INTEGRATION_SECONDS
    while True:
        audited = stage.audit(url, remembering=False)
        if not audited.passed:
            return audited.first_finding
        _require(time.monotonic() < deadline, f"the auditor finds nothing wrong: {audited.report}")
        time.sleep(0.2)


def _require(held: bool, otherwise: str) -> None:
    if not held:
        raise StoryFailed(otherwise)
