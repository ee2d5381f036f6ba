"""One service as one process: configuration in, uvicorn out, nothing of a request in its log."""

import gc
import os
import secrets
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from atorga.serve import workers
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, load

SERVICES = ("issuer", "consent", "holder", "verifier", "portal", "witness", "ocsp")
"""The modules of this folder that have ``settings`` and ``build``."""

SEVERAL = ("consent",)
"""Those that can be several processes on one data folder."""

SWITCH_SECONDS = 0.0005
"""How long a thread of Python may keep the others waiting: the event loop stands still for so long, and with it
every answer, whenever it gives way to a thread that reckons. Python's own 5 ms is more than a use takes."""

COLLECT = (10_000, 20, 20)
"""Objects made until the collector looks, and how often it looks further: Python's own 700 is a request of ours."""

SHUTDOWN_SECONDS = 10
"""How long a use in flight may take to end after SIGTERM."""

PARENT_CHECK_SECONDS = 1.0


def module_of(service: str) -> ModuleType:
    """One of ``SERVICES``; imported here and not above, since each brings libraries that the others do without."""
    return import_module(f"atorga.serve.{service}")


def run(service: str, configuration: Path, *, profile: Profile, with_parent: bool, worker: bool = False) -> int:
    """Serves until SIGTERM, or the end of the parent; 2 where the configuration cannot be used."""
    if with_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(),), name="parent", daemon=True).start()
    try:
        module = module_of(service)
        head, rest = load(configuration, profile=profile)
        if head.workers > 1 and service not in SEVERAL:
            raise ConfigurationError(f"[service] workers: {service} is one process")
        if head.workers > 1 and not worker:
            with workers.reserve(head.host, head.port):
                return workers.supervise(_worker_command(service, configuration, profile), head.workers)
        settings = module.settings(head, rest)
        rest.done()
        app = module.build(settings, profile=profile, clock=time.time, random=secrets.token_bytes)
    except ConfigurationError as fault:
        print(f"{service}: {configuration}: {fault}", file=sys.stderr)
        return 2
    sys.setswitchinterval(SWITCH_SECONDS)
    # What is loaded by now stays to the end: looking through it again and again would find nothing to collect.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)
    _serve(app, head, shared=worker)
    return 0


def _serve(app: Any, head: ServiceHead, *, shared: bool) -> None:
    import uvicorn

    windows = sys.platform == "win32"
    # Addresses hold identifiers, and headers tokens: the access log stays off.
    config = uvicorn.Config(
        app,
        host=head.host,
        port=head.port,
        loop="asyncio" if windows else "uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[workers.listen(head.host, head.port)] if shared else None)


def _worker_command(service: str, configuration: Path, profile: Profile) -> list[str]:
    # With the parent: who is killed must not leave workers behind that hold port and files.
    return [
        sys.executable, "-m", "atorga", "serve", service, "--config", str(configuration), "--profile", profile,
        "--with-parent", "--worker",
    ]  # fmt: skip


def _follow_parent(parent: int) -> None:
    """A town that was killed must not leave services behind that hold its ports and files."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
