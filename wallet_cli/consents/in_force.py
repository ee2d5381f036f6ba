"""What a grant still allows: as it was signed, less what was taken back since."""

from dataclasses import replace

from consent.errors import ConsentError
from consent.grant.detail import MAX_NOT_AFTER, MAX_USES, AuthorizationDetail, Term
from identity.codec.members import boolean, integer, mapping, text
from identity.errors import EncodingError
from wallet_cli.consents import receipts
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.fitting import detail_of
from wallet_cli.errors import ConsentRefused
from wallet_cli.store.consents import HeldGrant

_WHAT = "grant"


def detail(at: OpenAccount, grant: HeldGrant) -> AuthorizationDetail:
    """By the consent service's words, never more than this wallet signed. Raises NetworkError, ConsentRefused."""
    signed, said = detail_of(grant), receipts.describe(at, grant.grant_id)
    try:
        terms = mapping(said, "terms", what=_WHAT)
        left = {name: _term(mapping(terms, name, what=_WHAT)) for name in signed.terms if name in terms}
        not_after = integer(said, "not_after", what=_WHAT, maximum=MAX_NOT_AFTER)
        uses = None if said.get("max_uses") is None else integer(said, "max_uses", what=_WHAT, maximum=MAX_USES)
    except (EncodingError, ConsentError) as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    if not left:
        raise ConsentRefused("bad_answer", f"{_WHAT}: nothing of it is left")
    return replace(
        signed,
        terms=left,
        not_after=min(not_after, signed.not_after),
        max_uses=signed.max_uses if uses is None else min(uses, signed.max_uses or uses),
    )


def _term(value: dict[str, object]) -> Term:
    return Term(text(value, "resolution", what=_WHAT, max_length=64), boolean(value, "optional", what=_WHAT))
