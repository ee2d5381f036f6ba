"""A leaf in words: what each of its fields says, and what it does not say."""

from dataclasses import dataclass

from atorga.explorer.texts import Texts
from consent.ledger.leaf import COUNTED, DAY_ONLY, DAY_SECONDS, END_DAY_EPOCH, Kind, Leaf
from consent.ledger.numbers import PublishedNumbers
from consent.procedure.vocabulary import vocabulary
from identity.codec import base64url

OF_A_GRANT = COUNTED | {Kind.DENY}
WITH_LIMITS = frozenset({Kind.GRANT, Kind.AMEND})


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    value: str
    note: str = ""
    is_code: bool = False


def lines(leaf: Leaf, numbers: PublishedNumbers | None, texts: Texts) -> list[Line]:
    leaf_id = base64url.encode(leaf.id)
    found = [Line(texts("leaf.kind"), texts(f"kind.{leaf.kind.word}"), texts(f"means.{leaf.kind.word}"))]
    if leaf.kind in OF_A_GRANT:
        found.append(Line(texts("leaf.grant"), leaf_id, texts("leaf.grant_note"), is_code=True))
    elif leaf.kind is not Kind.PREVIOUS:
        found.append(Line(texts("leaf.id"), leaf_id, texts("leaf.id_note"), is_code=True))
    if leaf.counter:
        found.append(Line(texts("leaf.counter"), texts.number(leaf.counter), texts("leaf.counter_note")))
    found.append(_minute(leaf, texts))
    if leaf.service or leaf.purpose:
        found += _parties(leaf, numbers, texts)
    if leaf.mask:
        bits = [place + 1 for place in range(64) if leaf.mask >> place & 1]
        found.append(Line(texts("leaf.attributes"), ", ".join(map(str, bits)), texts("leaf.attributes_note")))
    if leaf.kind in WITH_LIMITS:
        found.append(Line(texts("leaf.last_day"), texts.time(END_DAY_EPOCH + leaf.end_day * DAY_SECONDS)[:10]))
        most = texts.number(leaf.max_uses) if leaf.max_uses else texts("leaf.no_maximum")
        found.append(Line(texts("leaf.max_uses"), most))
    note = "leaf.previous_note" if leaf.kind is Kind.PREVIOUS else "leaf.commitment_note"
    found.append(Line(texts("leaf.commitment"), leaf.commitment.hex(), texts(note), is_code=True))
    return found


def _minute(leaf: Leaf, texts: Texts) -> Line:
    at = texts.time(leaf.minute * 60)
    if leaf.flags & DAY_ONLY:
        return Line(texts("leaf.day"), at[:10], texts("leaf.day_note"))
    return Line(texts("leaf.minute"), at)


def _parties(leaf: Leaf, numbers: PublishedNumbers | None, texts: Texts) -> list[Line]:
    if leaf.grouped:
        code = f"{leaf.service} / {leaf.purpose}"
        return [Line(texts("leaf.group"), code, texts("leaf.group_note"))]
    service = numbers.services.get(leaf.service) if numbers is not None else None
    purpose = numbers.purposes.get(leaf.purpose) if numbers is not None else None
    unknown = texts("leaf.not_published")
    return [
        Line(texts("leaf.service"), service or unknown, texts("leaf.number", number=leaf.service)),
        Line(
            texts("leaf.purpose"),
            purpose_name(purpose, texts.language) if purpose else unknown,
            texts("leaf.number", number=leaf.purpose),
        ),
    ]


def purpose_name(iri: str, language: str) -> str:
    term = vocabulary().terms.get(iri)
    return f"{term.label_in(language).text} ({iri})" if term is not None else iri
