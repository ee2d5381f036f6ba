"""Grants of a made-up city, as rows: ids at random, parties and purposes as many as a city has.

The signed texts are real ones, of four attributes; a few are made and used again, since only their
length counts and signing 1.6 million of them would measure the signing.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from consent.grant.detail import AuthorizationDetail, Frequency, Term
from consent.grant.grant import sign_grant
from consent.grant.locator import seal_locator
from consent.grant.request import ConsentRequest, sign_request, verify_request
from consent.ledger.grant_row import GIVEN, WINDOW_EPOCH, GrantBody, HotRow
from identity.codec import jcs
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner

NOW = 1_795_315_110
DAY = 86_400
GRANTS_OF_A_RESIDENT = 20
SERVICES, HOLDERS, PURPOSES = 400, 30, 60
MADE = 16
DATATYPES = ("income.band", "household.size", "address.district", "disability.degree")
ALL = (1 << len(DATATYPES)) - 1


@dataclass(frozen=True, slots=True)
class City:
    """``seed`` decides everything, so that ids can be named again without being kept."""

    grants: int
    seed: int = 20_261_125

    def grant_id(self, number: int) -> bytes:
        return Random(self.seed + number).randbytes(16)

    def rows(self, first: int, end: int) -> Iterator[HotRow]:
        for number in range(first, end):
            random = Random(self.seed + number)
            grant_id = random.randbytes(16)
            given = NOW - random.randrange(300 * DAY)
            yield HotRow(
                grant_id=grant_id,
                account=1 + random.randrange(max(1, self.grants // GRANTS_OF_A_RESIDENT)),
                service=1 + random.randrange(SERVICES),
                holder=1 + random.randrange(HOLDERS),
                purpose=1 + random.randrange(PURPOSES),
                state=GIVEN,
                mask=ALL,
                not_before=given,
                not_after=given + 700 * DAY,
                counter=1 + random.randrange(24),
                act=random.randrange(3),
                uses=random.randrange(24),
                max_uses=0,
                window_start=given - WINDOW_EPOCH,
                window_uses=0,
                window_max=12,
                window_seconds=30 * DAY,
                status_index=random.randrange(1 << 24),
            )


def bodies() -> list[GrantBody]:
    service, holder = SoftwareSigner.generate(), AgreementPrivateKey.generate()
    return [_body(service, holder, Random(number)) for number in range(MADE)]


def _body(service: SoftwareSigner, holder: AgreementPrivateKey, random: Random) -> GrantBody:
    names = {"service": "urn:atorga:party:social-services", "consent": "urn:atorga:party:consent"}
    detail = AuthorizationDetail(
        holder="urn:atorga:party:hacienda",
        identifier="rent-subsidy@1",
        procedure="rent-subsidy",
        purpose="https://w3id.org/dpv#ProvidePublicBenefit",
        datatypes=DATATYPES,
        terms={name: Term("binned:eur-6" if name == "income.band" else "raw", False) for name in DATATYPES},
        level="readable",
        mode="view",
        fetch="periodic",
        frequency=Frequency(12, 30 * DAY),
        max_uses=None,
        not_before=NOW,
        not_after=NOW + 700 * DAY,
        data_life_seconds=90 * DAY,
        on_change="ask",
    )
    request = ConsentRequest(id=_id(random), issued=NOW, expires=NOW + 600, mailbox=None, detail=detail, **names)
    signed = sign_request(request, service)
    verified = verify_request(signed, key_of=lambda _: service.public_key, consent=names["consent"], now=NOW)
    key = SoftwareSigner.generate()
    grant = sign_grant(grant_id=_id(random), request=verified, detail=detail, decision="given", now=NOW, signer=key)
    locator = seal_locator(
        holder.public, holder=detail.holder, grant=grant, link=_id(random), link_signer=SoftwareSigner.generate()
    )
    text = jcs.canonicalize(detail.to_json()).decode()
    return GrantBody(grant, locator, key.public_key.thumbprint, random.randbytes(32), text, None, None)


def _id(random: Random) -> str:
    return urlsafe_b64encode(random.randbytes(16)).rstrip(b"=").decode()
