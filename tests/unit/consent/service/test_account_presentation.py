"""The presentation behind an account: asked for by the access certificate, checked like any other."""

import secrets
from typing import Any

import pytest

from consent.service.account_presentation import AccountPresentation
from consent.service.asked_presentation import IDS
from consent.service.operator import Operator
from identity.errors import CredentialError, IdentityError
from identity.formats.sd_jwt_vc.present import present as present_sd_jwt
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import spec
from identity.openid4vp.request import VerifiedAuthorizationRequest, read_request
from tests.paper_city import CONSENT, PAIRWISE, PORTAL, Copy, PaperCity

URL = "https://consent.example"
NONCE = "n" * 43


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> PaperCity:
    return PaperCity(tmp_path_factory.mktemp("paper"), host="consent.example")


@pytest.fixture
def account(paper: PaperCity) -> AccountPresentation:
    access = paper.certificates.access
    operator = Operator(CONSENT, URL, SoftwareSigner.generate(), paper.clock, secrets.token_bytes)
    return AccountPresentation(operator, access.signer(), access.chain(), paper.issuers.issuer_key, paper.revocations)


def read(paper: PaperCity, account: AccountPresentation, jar: str) -> VerifiedAuthorizationRequest:
    return read_request(
        jar, client_id=account.client_id, profile="base", anchors=paper.access_anchors, registry=paper.registry,
        now=paper.now,
    )  # fmt: skip


def test_it_asks_for_one_number_and_for_nothing_else(paper: PaperCity, account: AccountPresentation) -> None:
    request = read(paper, account, account.make_jar(NONCE))
    assert (request.nonce, request.response_mode, request.response_uri) == (
        NONCE, spec.DIRECT_POST, f"{URL}/me/account",
    )  # fmt: skip
    (asked,) = request.query.credentials
    assert asked.vct_values == (PAIRWISE,)
    assert [claim.path for claim in asked.claims] == [(IDS, CONSENT)]
    assert request.client_id.startswith("x509_hash:")


def present(paper: PaperCity, account: AccountPresentation, copy: Copy, **changes: Any) -> dict[str, list[str]]:
    return paper.vp_token(read(paper, account, account.make_jar(NONCE)), [copy], **changes)


def test_what_comes_back_is_the_number(paper: PaperCity, account: AccountPresentation) -> None:
    assert account.check(present(paper, account, paper.pairwise()), NONCE) == "m3xconsent"


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "other"}, {"audience": "x509_hash:other"}, {"audience": URL}, {"now": 1_799_990_000}],
    ids=lambda changes: "-".join(changes),
)
def test_presentations_made_for_something_else(
    paper: PaperCity, account: AccountPresentation, changes: dict[str, Any]
) -> None:
    with pytest.raises(IdentityError):
        account.check(present(paper, account, paper.pairwise(), **changes), NONCE)


def test_only_our_own_number_counts(paper: PaperCity, account: AccountPresentation) -> None:
    with pytest.raises(IdentityError):
        account.check(present(paper, account, paper.pairwise(), disclose=[("ids", PORTAL)]), NONCE)


def test_credentials_of_others(paper: PaperCity, account: AccountPresentation) -> None:
    """Of another type; of an issuer under the right root that nobody listed."""
    good = paper.pairwise()
    request = read(paper, account, account.make_jar(NONCE))
    for copy in (
        paper.residency(index=None),
        paper.pairwise(signing=paper.certificates.unlisted, issuer="https://issuer.example/other"),
    ):
        presented = present_sd_jwt(
            copy.credential, disclose=[], audience=request.client_id, nonce=NONCE, now=paper.now, holder=copy.key
        )
        with pytest.raises(IdentityError):
            account.check({"account": [presented]}, NONCE)
    assert account.check(present(paper, account, good), NONCE)


def test_a_number_that_is_no_text(paper: PaperCity, account: AccountPresentation) -> None:
    odd = paper.issued(claims={"ids": {CONSENT: 7}}, disclosable=[("ids", CONSENT)], vct=PAIRWISE)
    with pytest.raises(CredentialError, match="not a text"):
        account.check(present(paper, account, odd), NONCE)


@pytest.mark.parametrize(
    "vp_token", [{}, {"account": []}, {"account": ["x"]}, {"other": ["x"]}, {"account": ["x", "y"]}]
)
def test_what_is_no_presentation(account: AccountPresentation, vp_token: dict[str, Any]) -> None:
    with pytest.raises(IdentityError):
        account.check(vp_token, NONCE)
