"""``atorga serve SERVICE --config FILE --check``: is this configuration right? One sentence, and nothing is served.

The service is built as ``serve`` builds it, so every file, key, query and register that the configuration
names is opened; a database on a server is only read. Its state is made in a folder of this check's own: the
service may run meanwhile, and what it has lies untouched. Then the key that others pin, where the service has
one (``settings.shown``). Left to the start of the service: its port, its lock, and whether a declaration's
version rose.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from atorga.serve.credential_trust import read_anchors
from atorga.serve.process import module_of
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, load
from identity.clock import Clock
from identity.errors import IdentityError
from identity.fetch import AllowListFetcher
from identity.randomness import Random
from identity.trust.reader import RegistryReader

RIGHT, WRONG = 0, 2


def run(service: str, configuration: Path, *, profile: Profile, clock: Clock, random: Random) -> int:
    """``RIGHT`` or ``WRONG``."""
    module = module_of(service)
    try:
        head, rest = load(configuration, profile=profile)
        _require_folder(head.data)
        with tempfile.TemporaryDirectory(prefix="atorga-check-") as folder:
            settings = module.settings(replace(head, data=Path(folder)), rest)
            rest.done()
            if hasattr(module, "checked"):
                settings = module.checked(settings, Path(folder))
            module.build(settings, profile=profile, clock=clock, random=random)
        listed = _listed(head, profile, clock)
    except ConfigurationError as fault:
        print(f"{service}: {configuration}: {fault}", file=sys.stderr)
        return WRONG
    print(f"{service}: {configuration} is right: it would serve {head.url}{listed}.")
    if shown := getattr(settings, "shown", None):
        print(shown)
    return RIGHT


def _require_folder(data: Path) -> None:
    """The service's own folder, or what it would be made in. Raises ConfigurationError."""
    nearest = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError(f"[service] data: {nearest} is no folder that can be written")


def _listed(head: ServiceHead, profile: Profile, clock: Clock) -> str:
    """The signed list as it is served now. Raises ConfigurationError."""
    url = head.registry_url
    if url is None or head.registry_anchors is None:
        return ""
    fetcher = AllowListFetcher(lambda asked: asked == url, allow_loopback_http=profile == "sandbox")
    try:
        found = RegistryReader(url, fetcher=fetcher, anchors=read_anchors(head.registry_anchors), clock=clock).current()
    except IdentityError as fault:
        raise ConfigurationError(f"[registry] url: {fault}") from None
    return f", by a signed list of {len(found.parties)} parties (version {found.version})"
