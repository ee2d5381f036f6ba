"""Known answers of the Token Status List, byte for byte: statuses in, compressed list out, and back."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.status.status_list import StatusList

FOLDER = Path(__file__).parent / "status_list"
STATUSES = json.loads((FOLDER / "statuses.json").read_text())


def encoded(name: str) -> dict[str, Any]:
    """The JSON form of a list in a text that is broken into lines."""
    text = (FOLDER / f"{name}.md").read_text()
    found: dict[str, Any] = json.loads(re.sub(r"\s", "", text[text.index("{") :]))
    return found


def large(bits: int) -> StatusList:
    made = StatusList(bits, 2**20)
    for index, value in STATUSES["test_vectors"][str(bits)].items():
        made.set(int(index), value)
    return made


def short(bits: int) -> StatusList:
    values = STATUSES["short"][str(bits)]
    made = StatusList(bits, len(values))
    for index, value in enumerate(values):
        made.set(index, value)
    return made


CASES = [
    (short(1), "status_list_encoding"),
    (short(2), "status_list_encoding2"),
    (large(1), "status_list_encoding1_long"),
    (large(2), "status_list_encoding2_long"),
    (large(4), "status_list_encoding4"),
    (large(8), "status_list_encoding8"),
]


@pytest.mark.parametrize(("statuses", "name"), CASES, ids=[name for _, name in CASES])
def test_encoding(statuses: StatusList, name: str) -> None:
    answer = encoded(f"{name}_json")
    assert answer == {"bits": statuses.bits, "lst": base64url.encode(statuses.compress())}
    decoded = StatusList.from_compressed(base64url.decode(answer["lst"]), answer["bits"])
    assert decoded == statuses
    cbor = re.sub(r"\s", "", (FOLDER / f"{name}_cbor.md").read_text())
    assert statuses.compress().hex() in cbor


def test_bytes_of_section_4_1() -> None:
    assert bytes(short(1)) == bytes.fromhex("b9a3") and short(1).compress().hex() == "78dadbb918000217015d"
    assert bytes(short(2)) == bytes.fromhex("c944f9") and short(2).compress().hex() == "78da3be9f2130003df0207"


def test_token_of_section_5_1() -> None:
    """Its key is not published: what it says is compared, not its signature."""
    raw = re.sub(r"\s", "", (FOLDER / "status_list_jwt_raw.md").read_text())
    parsed = jws.parse(raw)
    head, body = (json.loads(part) for part in (FOLDER / "status_list_jwt.md").read_text().split("\n.\n"))
    assert parsed.header == head and parsed.claims().items() >= body.items()
    held = parsed.claims()["status_list"]
    assert StatusList.from_compressed(base64url.decode(held["lst"]), held["bits"]) == short(1)
