"""``atorga explorer --log URL --vkey K --mirror DIR``: follows, audits, and serves pages on this machine."""

import argparse
import os
import sys

from atorga.audit import Progress, quorum_of
from atorga.audit_words import Words
from atorga.http_log import HttpLog
from consent.errors import LogError
from consent.log.note import NoteKey
from identity.errors import FetchError
from identity.fetch import require_permitted
from wallet_cli.texts import language_of

HOST = "127.0.0.1"


def run(given: argparse.Namespace) -> int:
    words = Words(language_of(os.environ))
    url = given.log.rstrip("/")
    try:
        require_permitted(url, allow_loopback_http=True)
        key = NoteKey.parse(given.vkey)
        quorum_of(given.witness, None)
    except (LogError, FetchError) as fault:
        print(words("usage", fault=fault), file=sys.stderr)
        return 2
    import uvicorn

    from atorga.explorer.app import make_app
    from atorga.explorer.state import Explored

    with HttpLog(url) as log:
        explored = Explored(url, key, given.mirror, below=log.below, witnesses=tuple(given.witness))
        explored.refresh(Progress(words, sys.stderr))
        if explored.fault is not None:
            print(words("refused", fault=explored.fault), file=sys.stderr)
        print(f"http://{HOST}:{given.port}/", flush=True)
        uvicorn.run(make_app(explored), host=HOST, port=given.port, log_level="warning", server_header=False)
    return 0
