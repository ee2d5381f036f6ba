"""``docs/service.md``: each of its blocks runs, one after the other, against a data holder and a consent service."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from atorga.town.pki import REGISTRY, TownPki
from identity.keys.signer import SoftwareSigner
from tests.architecture.named_tests import ROOT
from tests.holder_city import CONSENT, HOLDER, SERVICE, Wallet
from tests.unit.verifier.kit.conftest import Service
from verifier.kit.outcome import Released

PAGE = (ROOT / "docs/service.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))


def run(name: str, names: dict[str, Any]) -> None:
    exec(compile(BLOCKS[name], f"docs/service.md, {name}", "exec"), names)


def test_each_block_in_its_order(
    service: Service, anna: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BLOCKS.keys() == {"world", "kit", "declare", "ask", "read", "end", "delete"}, "every block runs below"
    assert {SERVICE, CONSENT, HOLDER} <= set(re.findall(r'"(urn:[\w:-]+)"', PAGE))
    monkeypatch.chdir(tmp_path)
    Path("social-services.pem").write_bytes(SoftwareSigner.generate().to_pem())
    root = TownPki(tmp_path / "pki", clock=time.time).root(REGISTRY).certificates
    Path("registry.pem").write_bytes(root.read_bytes())
    names: dict[str, Any] = {}
    run("world", names)
    city = service.city
    names |= {
        "registry": city.registry, "client": city.client(SERVICE), "signer": city.keys[SERVICE],
        "clock": city.clock, "LOG_VKEY": city.consent.vkey, "delete_everything_read_under": lambda _: False,
    }  # fmt: skip
    for name in ("kit", "declare", "ask"):
        run(name, names)
    request = city.consent.requests[names["asked"].request_id]
    signed = city.signed_grant(anna, request, request.request.detail)
    city.consent.give(signed, city.locator(anna, signed), city.declaration.resolutions)
    run("read", names)
    assert isinstance(names["found"], Released) and names["band"]
    run("end", names)
    names["stop"].set()
    assert [duty.grant_id for duty in names["kit"].deletions()] == [names["found"].grant_id]
    run("delete", names)
    names["kit"].close()
