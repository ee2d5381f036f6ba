"""What the screen says before a consent is given: who, what exactly, why, for how long, and what then."""

from collections.abc import Mapping, Sequence
from typing import Any

from consent.grant.detail import AuthorizationDetail
from identity.trust.registry import Party
from wallet_cli.consents import labels
from wallet_cli.consents.request import Asked
from wallet_cli.terminal import Terminal, plain
from wallet_cli.texts import Texts


def party_name(texts: Texts, party: Party) -> str:
    return plain(texts.pick(party.name) or party.id)


def show_request(terminal: Terminal, texts: Texts, asked: Asked, detail: AuthorizationDetail) -> None:
    """``detail`` is what would be given; where it is less than what was asked, that is said."""
    wanted = asked.request.request.detail
    terminal.say()
    terminal.say(texts("consent.who", service=party_name(texts, asked.service), holder=party_name(texts, asked.holder)))
    terminal.say("  " + texts("consent.legal_entity", name=plain(asked.service.legal_entity)))
    terminal.say(texts("consent.what"))
    for name in wanted.attributes:
        category = asked.data.attributes[name].category
        terminal.say("  - " + _attribute_line(texts, wanted, detail, name, category))
    terminal.say(texts("consent.why", procedure=labels.procedure(texts, wanted.procedure)))
    terminal.say("  " + texts("consent.purpose", purpose=labels.term(texts, wanted.purpose)))
    if notice := texts.pick(asked.purpose.notice):
        terminal.say("  " + plain(notice))
    if asked.purpose.sensitive:
        terminal.say("  " + texts("consent.sensitive"))
    for line in term_lines(texts, detail):
        terminal.say(line)


def show_known(terminal: Terminal, texts: Texts, lent: Sequence[str], shown: Sequence[str]) -> None:
    """What this service could put together with what it asks for now."""
    if lent:
        terminal.say(texts("consent.lent_already", what=", ".join(labels.attribute(texts, name) for name in lent)))
    if shown:
        terminal.say(texts("consent.shown_already", what=", ".join(texts.claim(name) for name in shown)))


def given_lines(texts: Texts, detail: AuthorizationDetail) -> list[str]:
    """What a grant gives: one line each for its attributes, then its limits."""
    lines = [_attribute_line(texts, detail, detail, name) for name in detail.attributes]
    return lines + term_lines(texts, detail)


def term_lines(texts: Texts, detail: AuthorizationDetail) -> list[str]:
    """For how long, how often, kept how long."""
    lines = [texts("consent.period", start=texts.date(detail.not_before), end=texts.date(detail.not_after))]
    if detail.max_uses is not None:
        lines.append(texts.count("consent.max_uses", detail.max_uses))
    if detail.frequency is not None:
        window = texts.duration(detail.frequency.seconds)
        lines.append(texts.count("consent.frequency", detail.frequency.max, window=window))
    lines.append(texts("consent.kept", duration=texts.duration(detail.data_life_seconds)))
    return lines


def _attribute_line(
    texts: Texts, wanted: AuthorizationDetail, given: AuthorizationDetail, name: str, category: str | None = None
) -> str:
    label = labels.attribute(texts, name, category)
    if name not in given.terms:
        return texts("consent.dropped", attribute=label)
    resolution = given.terms[name].resolution
    line = f"{label} ({resolution_words(texts, resolution)})"
    if wanted.terms[name].optional:
        line += " " + texts("consent.optional")
    return line


def resolution_words(texts: Texts, resolution: str) -> str:
    family, _, name = resolution.partition(":")
    known = texts.get(f"resolution.{resolution}")
    return known or texts(f"resolution.{family}", name=plain(name))


def summary(detail: AuthorizationDetail) -> Mapping[str, Any]:
    """For ``--json``: names and limits of a grant."""
    return {
        "holder": detail.holder,
        "procedure": detail.procedure,
        "purpose": detail.purpose,
        "attributes": {name: term.resolution for name, term in detail.terms.items()},
        "not_after": detail.not_after,
        "max_uses": detail.max_uses,
    }
