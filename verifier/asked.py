"""What is asked for, and whom to believe about the answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from identity.codec import base64url
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.openid4vp import spec
from identity.openid4vp.check import StatusCheck
from identity.openid4vp.dcql import DcqlQuery
from verifier.acceptance import Flow


@dataclass(frozen=True, slots=True)
class StandIn:
    """What one request of the sandbox trusts instead."""

    anchors: tuple[bytes, ...]
    """DER; they replace the usual ones and stand in for registry entries. None at all: the usual ones."""
    status_prefixes: tuple[str, ...]
    """Lists below these are fetched when needed."""

    def format(self) -> str:
        anchors = [base64url.encode(der) for der in self.anchors]
        return json.dumps({"anchors": anchors, "status_prefixes": list(self.status_prefixes)})

    @classmethod
    def parse(cls, text: str) -> "StandIn":
        obj = json.loads(text)
        return cls(tuple(base64url.decode(one) for one in obj["anchors"]), tuple(obj["status_prefixes"]))


@dataclass(frozen=True, slots=True)
class CredentialTrust:
    """Whom to believe: by chain and registry, and by status list."""

    issuer_key: IssuerKey
    status_check: StatusCheck


TrustFor = Callable[[StandIn | None], CredentialTrust]
"""None: the anchors and the registry that the verifier always goes by."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to ask for, and how."""

    procedure: str
    query: DcqlQuery
    flow: Flow
    return_uri: str | None = None
    """Where the wallet's person goes on, on the same device."""
    client_id_prefix: str = spec.X509_HASH
    response_mode: str = spec.DIRECT_POST_JWT
    request_uri_method: str = spec.GET
    stand_in: StandIn | None = None
