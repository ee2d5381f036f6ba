"""The names of OpenID4VP stand in ``spec.py``; who needs one takes it from there."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[4]

NAMES = {
    "vp_token", "dcql_query", "client_metadata", "response_uri", "request_uri_method", "wallet_nonce", "direct_post",
    "direct_post.jwt", "x509_hash", "x509_san_dns", "decentralized_identifier", "oauth-authz-req+jwt",
    "application/oauth-authz-req+jwt", "vp_formats_supported", "transaction_data", "response_code",
    "encrypted_response_enc_values_supported", "vp_formats_not_supported", "invalid_request_uri_method",
}  # fmt: skip

ELSEWHERE = (
    # Messages of this project that have a member of the same name (WIRE C8, C10).
    ("consent/", "vp_token"),
    ("wallet_cli/consents/", "vp_token"),
    # Who speaks to the admin helpers from outside spells their JSON (WIRE section A).
    ("atorga/town/actors.py", "direct_post"),
)


def strays(root: Path) -> set[tuple[str, str]]:
    found = set()
    for package in ("identity", "consent", "wallet_cli", "verifier", "atorga"):
        for path in (root / package).rglob("*.py"):
            if path.parts[-3:] == ("identity", "openid4vp", "spec.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in NAMES:
                    found.add((path.relative_to(root).as_posix(), str(node.value)))
    return found


def test_no_other_file_spells_them() -> None:
    found = strays(ROOT)
    assert not {
        (place, name) for place, name in found if not any(place.startswith(p) and name == n for p, n in ELSEWHERE)
    }


def test_a_planted_stray_is_found(tmp_path: Path) -> None:
    place = tmp_path / "verifier" / "app.py"
    place.parent.mkdir()
    place.write_text("FIELD = 'vp_token'\n")
    assert strays(tmp_path) == {("verifier/app.py", "vp_token")}
