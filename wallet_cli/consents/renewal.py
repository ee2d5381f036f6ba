"""What a service says otherwise than when the resident agreed before (DESIGN section 7: a changed text is shown).

The declaration that was read then is in the store, as its service signed it; for permissions older
than that there is the text of the receipt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consent.errors import ConsentError
from consent.procedure.declaration import PurposeDeclaration, read_stored
from consent.procedure.difference import Change, Piece, difference, text_difference
from wallet_cli.consents import labels
from wallet_cli.consents.fitting import detail_of
from wallet_cli.consents.request import Asked
from wallet_cli.errand import Errand
from wallet_cli.store import consents
from wallet_cli.store.consents import HeldGrant
from wallet_cli.terminal import plain
from wallet_cli.texts import Texts


@dataclass(frozen=True, slots=True)
class Before:
    grant: HeldGrant
    declared: PurposeDeclaration | None
    """None where only the receipt's text is there."""


def show(errand: Errand, asked: Asked) -> None:
    """Nothing where nothing was agreed before, or nothing has changed."""
    before = _before(errand, asked)
    if before is None:
        return
    lines = _lines(errand.texts, before, asked)
    if not lines:
        return
    errand.terminal.alarm(errand.texts("renewal.changed", date=errand.texts.date(before.grant.given_at)))
    for line in lines:
        errand.terminal.say("  " + line)


def _before(errand: Errand, asked: Asked) -> Before | None:
    """The newest permission of this service, at this data holder, for this procedure."""
    detail = asked.request.request.detail
    same = [
        grant
        for grant in consents.grants(errand.store)
        if (grant.service, grant.holder) == (asked.service.id, asked.holder.id)
        and detail_of(grant).procedure == detail.procedure
    ]
    newest = max(same, key=lambda grant: grant.given_at, default=None)
    if newest is None:
        return None
    try:
        read = None if newest.purpose is None else read_stored(newest.purpose)
    except ConsentError:
        read = None
    return Before(newest, read if isinstance(read, PurposeDeclaration) else None)


def _lines(texts: Texts, before: Before, asked: Asked) -> list[str]:
    if before.declared is None:
        return _receipt_lines(texts, before.grant, asked.purpose)
    found, lines = difference(before.declared, asked.purpose), []
    if "purpose" in found.members:
        old, new = labels.term(texts, before.declared.purpose), labels.term(texts, asked.purpose.purpose)
        lines.append(texts("renewal.purpose", before=old, now=new))
    for key, names in (("renewal.more", found.attributes_added), ("renewal.less", found.attributes_removed)):
        if names:
            lines.append(texts(key, what=", ".join(labels.attribute(texts, name) for name in names)))
    if found.retention_seconds is not None:
        old_time, new_time = (texts.duration(seconds) for seconds in found.retention_seconds)
        lines.append(texts("renewal.kept", before=old_time, now=new_time))
    language = next((one for one in (texts.language, *found.notice) if one in found.notice), None)
    if language is not None:
        lines.append(texts("renewal.text"))
        old, new = before.declared.notice.get(language, ""), asked.purpose.notice.get(language, "")
        lines.append("  " + marked(texts, _between(old, new)))
    if not lines and found.members:
        lines.append(texts("renewal.other"))
    return lines


def _receipt_lines(texts: Texts, grant: HeldGrant, now: PurposeDeclaration) -> list[str]:
    notice = {} if grant.receipt is None else grant.receipt.get("notice", {})
    old = notice.get("text")
    new = now.notice.get(str(notice.get("language")))
    if not isinstance(old, str) or new is None or old == new:
        return []
    return [texts("renewal.text"), "  " + marked(texts, _between(old, new))]


def _between(old: str, new: str) -> Sequence[Piece]:
    """With a space at both ends: the last word of a text is the same word where another one follows it."""
    return text_difference(f"{old} ", f"{new} ")


def marked(texts: Texts, pieces: Sequence[Piece]) -> str:
    """One text, in which what is new and what is gone is marked in words: colours are not for everybody."""
    words = {Change.SAME: "renewal.same_words", Change.ADDED: "renewal.new_words", Change.REMOVED: "renewal.gone_words"}
    return " ".join(
        texts(words[piece.change], text=plain(piece.text.strip())) for piece in pieces if piece.text.strip()
    )
