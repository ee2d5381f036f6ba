"""One service as one process: configuration in, uvicorn out, nothing of a request in its log."""

import os
import secrets
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

from atorga.serve.settings import ConfigurationError, Profile, load

SERVICES = ("issuer", "consent", "holder", "verifier", "portal", "witness", "ocsp")
"""The modules of this folder that have ``settings`` and ``build``."""

SHUTDOWN_SECONDS = 10
"""How long a use in flight may take to end after SIGTERM."""

PARENT_CHECK_SECONDS = 1.0


def module_of(service: str) -> ModuleType:
    """One of ``SERVICES``; imported here and not above, since each brings libraries that the others do without."""
    return import_module(f"atorga.serve.{service}")


def run(service: str, configuration: Path, *, profile: Profile, with_parent: bool) -> int:
    """Serves until SIGTERM, or the end of the parent; 2 where the configuration cannot be used."""
    import uvicorn

    if with_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(),), name="parent", daemon=True).start()
    try:
        module = module_of(service)
        head, rest = load(configuration, profile=profile)
        settings = module.settings(head, rest)
        rest.done()
        app = module.build(settings, profile=profile, clock=time.time, random=secrets.token_bytes)
    except ConfigurationError as fault:
        print(f"{service}: {configuration}: {fault}", file=sys.stderr)
        return 2
    # Addresses hold identifiers, and headers tokens: the access log stays off.
    uvicorn.run(
        app,
        host=head.host,
        port=head.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return 0


def _follow_parent(parent: int) -> None:
    """A town that was killed must not leave services behind that hold its ports and files."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
