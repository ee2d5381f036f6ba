"""The holder link (WIRE C8): once per data holder, the wallet makes itself known there under a key for it alone.

Key and mailbox are stored before anything is sent: a wallet whose answer got lost asks again with
the same key and gets the same handle.
"""

from consent.holder.link import link_nonce, seal_link
from consent.procedure.declaration import DataDeclaration
from identity.codec import base64url
from identity.codec.members import identifier
from identity.errors import EncodingError
from identity.formats.sd_jwt_vc.spec import FORMAT
from identity.keys.signer import SoftwareSigner
from identity.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from identity.trust.registry import Party
from wallet_cli.consents.parties import endpoint
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.present import build, copies
from wallet_cli.present.choose import Part, choose
from wallet_cli.store import consents, history
from wallet_cli.store.consents import HolderLink

_WHAT = "holder link"
_QUERY = "row"


def row_of(errand: Errand, holder: Party, data: DataDeclaration) -> Part:
    """The credential, and its one claim, that says which row is this resident's.

    Raises RequestRefused, and ConsentRefused where the list has no address to show it at.
    """
    endpoint(holder, "links")
    meta = {"vct_values": [data.row_vct]}
    asked = CredentialQuery(_QUERY, FORMAT, meta, claims=(ClaimsQuery(None, data.row_path, None),))
    return choose(errand, DcqlQuery((asked,)))[0]


def known(errand: Errand, holder: Party) -> HolderLink | None:
    found = consents.link(errand.store, holder.id)
    return found if found is not None and found.handle is not None else None


def make(errand: Errand, holder: Party, data: DataDeclaration, row: Part) -> HolderLink:
    """The link, with its handle. Raises ConsentRefused, NetworkError."""
    link = consents.link(errand.store, holder.id) or _begin(errand, holder)
    signer = SoftwareSigner.from_jwk(link.key)
    address = endpoint(holder, "links")
    nonce = link_nonce(holder.id, signer.public_key.thumbprint, link.mailbox)
    presented = build.presentation(errand, row, audience=holder.id, nonce=nonce)
    sealed = seal_link(
        data.hpke, holder=holder.id, link_key=signer.public_key, mailbox=link.mailbox, vp_token=presented
    )
    answer = errand.network.post_json(address, {"sealed": sealed}).expect(200, 201, what=_WHAT)
    try:
        handle = identifier(answer.object(what=_WHAT), "link", what=_WHAT)
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    made = HolderLink(holder.id, link.key, link.mailbox, handle)
    with errand.store.transaction():
        consents.save_link(errand.store, made)
        history.record(errand.store, "linked", holder.id, names(row), now=errand.now)
    copies.replenish(errand, row.held.credential)
    return made


def names(part: Part) -> list[str]:
    return [".".join(map(str, location)) for location in part.claims]


def _begin(errand: Errand, holder: Party) -> HolderLink:
    key, mailbox = SoftwareSigner.generate(), base64url.encode(errand.world.random(16))
    link = HolderLink(holder.id, key.private_jwk(), mailbox, None)
    with errand.store.transaction():
        consents.save_link(errand.store, link)
    return link
