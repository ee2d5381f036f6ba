"""The authorization code flow up to the code (OpenID4VCI 1.0 section 5; RFC 6749, 7636, 9101, 9126, 9207).

1. Push the request: PKCE S256, a fresh state, the thumbprint of this issuance's DPoP key.
2. Go to the authorization address: by the card (WIRE C7), by following the server's own redirects,
   or with the person's browser.
3. What comes back counts only at our redirect address, with our state and the server's `iss`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from identity.codec import base64url, strict_json
from identity.codec.members import text
from identity.errors import EncodingError
from wallet_cli.errors import OfferError
from wallet_cli.network import Network, origin
from wallet_cli.receive.exchange import Exchange, unguessable
from wallet_cli.receive.issuer import Configuration, Issuer
from wallet_cli.receive.loopback import is_return
from wallet_cli.receive.token import OPENID_CREDENTIAL

MAX_REDIRECTS = 10

Walk = Callable[[str], str]
"""From the authorization address to the address the server sent us back to."""


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    verifier: str
    redirect_uri: str


def obtain(
    exchange: Exchange,
    issuer: Issuer,
    configurations: list[Configuration],
    *,
    client_id: str,
    redirect_uri: str,
    issuer_state: str | None,
    walk: Walk,
) -> Code:
    """Raises OfferError, NetworkError."""
    verifier, state = unguessable(exchange.random), unguessable(exchange.random)
    fields = {  # 1
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": base64url.encode(sha256(verifier.encode("ascii")).digest()),
        "code_challenge_method": "S256",
        **_what(issuer, configurations),
    }
    if issuer_state is not None:
        fields["issuer_state"] = issuer_state
    if exchange.key is not None:
        fields["dpop_jkt"] = exchange.key.public_key.thumbprint  # RFC 9449 section 10
    returned = walk(_push(exchange, issuer, fields))  # 2
    return Code(_code_of(returned, issuer, state=state, redirect_uri=redirect_uri), verifier, redirect_uri)


def _what(issuer: Issuer, configurations: list[Configuration]) -> dict[str, str]:
    """By scope where each configuration has one (HAIP section 4.3), else by authorization_details (section 5.1.1)."""
    scopes = [one.scope for one in configurations if one.scope is not None]
    if len(scopes) == len(configurations):
        return {"scope": " ".join(dict.fromkeys(scopes))}
    details = [{"type": OPENID_CREDENTIAL, "credential_configuration_id": one.id} for one in configurations]
    if issuer.server.issuer != issuer.credential_issuer:
        details = [{**detail, "locations": [issuer.credential_issuer]} for detail in details]  # type: ignore[dict-item]
    return {"authorization_details": strict_json.compact(details).decode("utf-8")}


def _push(exchange: Exchange, issuer: Issuer, fields: dict[str, str]) -> str:
    """The authorization address. Without a PAR endpoint the request would travel through the browser: refused."""
    server = issuer.server
    if server.par_endpoint is None or server.authorization_endpoint is None:
        raise OfferError(
            "not_offered", "issuer: has no pushed authorization requests (RFC 9126), which this wallet needs"
        )
    answer = exchange.post_form(server.par_endpoint, fields).expect(200, 201, what="authorization request")
    try:
        request_uri = text(answer.object(what="PAR answer"), "request_uri", what="PAR answer")
    except EncodingError as fault:
        raise OfferError("issuer_answer_refused", str(fault)) from None
    separator = "&" if "?" in server.authorization_endpoint else "?"
    named = urlencode({"client_id": fields["client_id"], "request_uri": request_uri})
    return f"{server.authorization_endpoint}{separator}{named}"


def follow(network: Network, url: str, redirect_uri: str) -> str | None:
    """Follows redirects inside the server's own origin; None where it shows a page, so that a person is needed."""
    session, start = network.session(), origin(url)
    for _ in range(MAX_REDIRECTS):
        answer = session.get(url, accept="text/html")
        location = answer.headers.get("location")
        if answer.status not in (302, 303, 307) or location is None:
            if answer.status >= 400:
                answer.expect(200, what="authorization")
            return None
        url = urljoin(url, location)
        if is_return(url, redirect_uri):
            return url
        if origin(url) != start:
            return None
    raise OfferError("issuer_answer_refused", f"authorization: more than {MAX_REDIRECTS} redirects")


def _code_of(returned: str, issuer: Issuer, *, state: str, redirect_uri: str) -> str:
    """Step 3."""
    if not is_return(returned, redirect_uri):
        raise OfferError("issuer_answer_refused", "authorization: came back to another address than ours")
    try:
        query = parse_qs(urlsplit(returned).query, strict_parsing=True, max_num_fields=16)
    except ValueError:
        raise OfferError("issuer_answer_refused", "authorization: came back without parameters") from None
    if any(len(values) != 1 for values in query.values()):
        raise OfferError("issuer_answer_refused", "authorization: a parameter came back twice")
    found = {name: values[0] for name, values in query.items()}
    if found.get("state") != state:
        raise OfferError("issuer_answer_refused", "authorization: came back with another state: not this flow")
    if found.get("iss") != issuer.server.issuer:  # RFC 9207 section 2.4
        raise OfferError("issuer_answer_refused", "authorization: `iss` is not the server that was asked")
    if "error" in found:
        raise OfferError("authorization_refused", f"authorization: {found['error'][:64]}")
    if not found.get("code"):
        raise OfferError("issuer_answer_refused", "authorization: came back without a code")
    return found["code"]
