"""What a service's staff reads where nothing was read: by attribute and rule, in their language."""

import json
from importlib.resources import files

import pytest

from consent import spec
from consent.caller.client import Answer
from consent.grant.notice import REASONS as NOTICE_REASONS
from consent.grant.use import REASONS
from verifier.kit.outcome import Refused
from verifier.kit.post import refused
from verifier.kit.words import LANGUAGES, sentences

AT_THE_DATA_HOLDER = (
    "value_changed", "consent_unavailable", "allow_not_proven", "registry_unavailable", "register_unavailable",
    "bases_unavailable", "status_unavailable", "keyed_hash_unavailable", "spool_full",
)  # fmt: skip


def table(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((files("verifier.kit") / "languages" / f"{language}.json").read_text())
    return found


def test_every_code_has_words_in_every_language() -> None:
    known = {*REASONS, *NOTICE_REASONS, *AT_THE_DATA_HOLDER, "holder_unavailable", "answer_not_proven"}
    for language in LANGUAGES:
        assert table(language).keys() == known | {"other", "of"}, language
        assert all(len(sentence.split()) <= 20 for sentence in table(language).values())
    assert len({table(language)["withdrawn"] for language in LANGUAGES}) == 3


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Income: The resident has not allowed this."),
        ("es", "Income: La persona no ha permitido este dato."),
        ("ca", "Income: La persona no ha permès aquesta dada."),
        ("xx", "Income: The resident has not allowed this."),
    ],
)
def test_by_attribute_and_rule(language: str, expected: str) -> None:
    body = {
        "decision": "deny",
        "grant_id": "AAAA",
        "reasons": [
            {"code": "attribute_not_granted", "attribute": "income.band"},
            {"code": "frequency", "attribute": None},
        ],
    }
    found = refused("AAAA", Answer(403, spec.MEDIA_JSON, json.dumps(body).encode()))
    assert found.reasons == ("attribute_not_granted", "frequency")
    first, second = sentences(found, language, labels={"income.band": "Income"})
    assert first == expected and second == table(language if language in LANGUAGES else "en")["frequency"]


def test_what_nobody_has_words_for() -> None:
    assert sentences(Refused("AAAA", ("something_new",)), "en") == ("The data holder refused it (something_new).",)


@pytest.mark.parametrize("reasons", [None, "withdrawn", [1], [{"code": 1}], [{"attribute": "a"}]])
def test_reasons_of_another_shape_are_none(reasons: object) -> None:
    found = refused("AAAA", Answer(403, spec.MEDIA_JSON, json.dumps({"reasons": reasons}).encode()))
    assert found.reasons == ("holder_unavailable",) and found.attributes == ()
