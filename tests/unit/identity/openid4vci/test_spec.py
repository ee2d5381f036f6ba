"""Wire strings are spelled once: in ``spec.py``."""

import ast
from pathlib import Path

from identity.openid4vci import spec

ROOT = Path(__file__).parents[4]
NAMES = {
    value
    for name, value in vars(spec).items()
    if name.isupper() and isinstance(value, str) and len(value) > 8 and not value.startswith("/")
}
# Tables of the store are named after what they hold.
OWN = {"authorization_code", "refresh_token", "issuer_state"}


def strays(source: str) -> set[str]:
    found = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    return {value for value in found if isinstance(value, str) and value in NAMES}


def test_no_other_file_spells_them() -> None:
    assert {"urn:ietf:params:oauth:grant-type:pre-authorized_code", "openid_credential", "invalid_proof"} <= NAMES
    for room in ("openid4vci", "issuer"):
        for path in sorted((ROOT / "identity" / room).rglob("*.py")):
            if path.name == "spec.py":
                continue
            found = strays(path.read_text())
            assert not (found - OWN if "store" in path.parts else found), path


def test_a_planted_one_is_found() -> None:
    assert strays('answer = {"error": "invalid_proof"}') == {"invalid_proof"}
