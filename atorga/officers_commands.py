"""``atorga officers``: two officers open one grant, each with keys of its own on a machine of its own (WIRE C15).

key     makes an officer's two keys; prints their public halves, which go to whoever runs ``init``
init    makes the officers' common key in its envelopes, and the file that the consent service's
        ``[officers]`` names; the common key itself is forgotten at once
order   an officer's signed word: which grant, and why; the second officer signs the first one's words
send    gives both orders to the consent service; its answer is sealed
open    opens that answer with the keys of both, without any network: a case for ``atorga audit case``
"""

import argparse
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from identity.keys.agreement import AgreementPrivateKey
    from identity.keys.signer import SoftwareSigner

MAX_KEY_BYTES = 4_096
MAX_ANSWER_BYTES = 67_108_864
"""As large as a case may be."""

_ID_BYTES = 16


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``officers`` to the commands of ``atorga``."""
    officers = commands.add_parser("officers", help="two officers open one grant: keys, orders, opening")
    acts = officers.add_subparsers(dest="act", required=True, metavar="ACT")

    key = acts.add_parser("key", help="an officer's keys; the public halves are printed")
    key.add_argument("name", metavar="NAME")
    key.add_argument("--out", type=Path, required=True, metavar="FILE", help="for the private halves; must not exist")

    init = acts.add_parser("init", help="the common key in envelopes, one for each pair")
    init.add_argument("officers", nargs="+", type=Path, metavar="PUBLIC", help="what `key` printed, two to seven files")
    init.add_argument("--out", type=Path, required=True, metavar="FILE", help="for the consent service; must not exist")

    order = acts.add_parser("order", help="say which grant is to be opened, and why")
    order.add_argument("--key", type=Path, required=True, metavar="FILE", help="an officer's keys")
    what = order.add_mutually_exclusive_group(required=True)
    what.add_argument("--grant", metavar="ID")
    what.add_argument("--same-as", type=Path, metavar="FILE", help="the order that another officer signed")
    order.add_argument("--consent", metavar="PARTY", help="with --grant: id of the consent service")
    order.add_argument("--reason", metavar="TEXT", help="with --grant: shown to nobody but kept with the order")

    send = acts.add_parser("send", help="give two orders to the consent service")
    send.add_argument("url", metavar="URL", help="the consent service's address")
    send.add_argument("orders", nargs=2, type=Path, metavar="ORDER")
    send.add_argument("--out", type=Path, required=True, metavar="FILE", help="for its answer")

    opened = acts.add_parser("open", help="open an answer with the keys of both")
    opened.add_argument("answer", type=Path, metavar="ANSWER")
    opened.add_argument("--key", type=Path, action="append", required=True, metavar="FILE", help="twice")


def run(given: argparse.Namespace, *, stdout: TextIO | None = None, stderr: TextIO | None = None) -> int:
    """0 done, 1 refused, 2 a file that cannot be used."""
    from consent.errors import ConsentError
    from identity.errors import IdentityError

    out, err = stdout or sys.stdout, stderr or sys.stderr
    try:
        out.write(_ACTS[given.act](given) + "\n")
    except OSError as fault:
        err.write(f"officers: {fault.filename}: {fault.strerror}\n")
        return 2
    except (ConsentError, IdentityError) as fault:
        err.write(f"officers: {fault}\n")
        return 1
    return 0


def _key(given: argparse.Namespace) -> str:
    from consent.grant.officers import Officer, parse_officer
    from identity.keys.agreement import AgreementPrivateKey
    from identity.keys.signer import SoftwareSigner

    order, opening = SoftwareSigner.generate(), AgreementPrivateKey.generate()
    public = Officer(given.name, order.public_key, opening.public).to_json()
    parse_officer(public)
    private = {"name": given.name, "order_jwk": order.private_jwk(), "open_jwk": opening.private_jwk()}
    _write_new(given.out, json.dumps(private) + "\n")
    return json.dumps(public)


def _init(given: argparse.Namespace) -> str:
    from consent.grant.officers import make_officers, parse_officer

    officers = [parse_officer(_read_json(path, MAX_KEY_BYTES)) for path in given.officers]
    made = make_officers(officers, secrets.token_bytes)
    _write_new(given.out, made.format().decode())
    return json.dumps({"key": made.key.thumbprint, "officers": [one.name for one in officers]})


def _order(given: argparse.Namespace) -> str:
    from consent.errors import MessageError
    from consent.grant.opening_order import parse_order, sign_order
    from identity.codec import base64url
    from identity.envelope import jws

    signer, _ = _private(given.key)
    if given.same_as is not None:
        compact = given.same_as.read_text(encoding="ascii").strip()
        order = parse_order(jws.parse(compact, what="opening order").claims(what="opening order"))
    elif not given.consent or not given.reason:
        raise MessageError("opening order: --grant needs --consent and --reason")
    else:
        claims: dict[str, Any] = {
            "aud": given.consent,
            "jti": base64url.encode(secrets.token_bytes(_ID_BYTES)),
            "iat": int(time.time()),
            "grant_id": given.grant,
            "reason": given.reason,
        }
        order = parse_order(claims)
    if given.same_as is not None:
        # Whoever signs reads what it is about.
        sys.stderr.write(f"grant {order.grant_id}: {order.reason}\n")
    return sign_order(order, signer)


def _send(given: argparse.Namespace) -> str:
    import httpx

    from consent.errors import PeerUnavailable
    from identity.fetch import require_permitted

    require_permitted(given.url, allow_loopback_http=True)
    orders = [path.read_text(encoding="ascii").strip() for path in given.orders]
    try:
        with httpx.Client(timeout=30.0, follow_redirects=False, trust_env=False) as client:
            answer = client.post(f"{given.url.rstrip('/')}/openings", json={"orders": orders})
    except httpx.HTTPError as fault:
        raise PeerUnavailable(f"the consent service cannot be reached ({type(fault).__name__})") from None
    if answer.status_code != 200:
        raise PeerUnavailable(f"the consent service answered {answer.status_code}: {answer.text[:200]}")
    _write_new(given.out, answer.text)
    return json.dumps({"state": "sealed", "file": str(given.out)})


def _open(given: argparse.Namespace) -> str:
    from consent.errors import MessageError
    from consent.grant.officers import open_envelope
    from consent.ledger.opened_case import open_answer

    if len(given.key) != 2:
        raise MessageError("officers: the keys of exactly two officers are needed")
    first, second = (_private(path)[1] for path in given.key)
    answer = _read_json(given.answer, MAX_ANSWER_BYTES)
    envelope = answer.get("envelope")
    if not isinstance(envelope, str):
        raise MessageError("officers: the answer has no envelope")
    return open_answer(answer, open_envelope(envelope, first, second)).format().decode()


def _private(path: Path) -> "tuple[SoftwareSigner, AgreementPrivateKey]":
    from consent.signed_message import exact, reading
    from identity.codec import members
    from identity.keys.agreement import AgreementPrivateKey
    from identity.keys.signer import SoftwareSigner

    what = "an officer's keys"
    value = _read_json(path, MAX_KEY_BYTES)
    exact(value, what, frozenset({"name", "order_jwk", "open_jwk"}))
    with reading(what):
        return (
            SoftwareSigner.from_jwk(members.mapping(value, "order_jwk", what=what)),
            AgreementPrivateKey.from_jwk(members.mapping(value, "open_jwk", what=what)),
        )


def _read_json(path: Path, most: int) -> dict[str, Any]:
    from consent.signed_message import reading
    from identity.codec import strict_json

    with path.open("rb") as stream:
        content = stream.read(most + 1)
    with reading(str(path)):
        return strict_json.parse_object(content, what=str(path), max_bytes=most)


def _write_new(path: Path, content: str) -> None:
    """Readable by its owner alone; nothing that is there is overwritten."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


_ACTS = {"key": _key, "init": _init, "order": _order, "send": _send, "open": _open}
