"""The search for secrets finds them in every dress, or it would prove nothing."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atorga.town.secret_search import SecretSearch

SECRET = "Ñandú-7731"


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("raw", SECRET.encode()),
        ("hex", SECRET.encode().hex().upper().encode()),
        ("utf-16-le", SECRET.encode("utf-16-le")),
        ("utf-16-be", SECRET.encode("utf-16-be")),
    ],
)
def test_found_in_every_form(form: str, content: bytes) -> None:
    found = SecretSearch({"name": SECRET}).in_bytes(b"before" + content + b"after", "here")
    assert form in {one.form for one in found}


@given(st.binary(max_size=7), st.binary(max_size=7), st.booleans())
def test_found_in_base64_at_any_place(before: bytes, after: bytes, url: bool) -> None:
    whole = before + SECRET.encode() + after
    encoded = base64.urlsafe_b64encode(whole) if url else base64.b64encode(whole)
    assert SecretSearch({"name": SECRET}).in_bytes(encoded, "here")


def test_nothing_found_where_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(base64.b64encode(b"something else entirely"))
    assert not SecretSearch({"name": SECRET}).in_files(tmp_path.rglob("*"), below=tmp_path)


def test_files_are_named_and_the_secret_is_not(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b").write_bytes(b"x" + SECRET.encode())
    (found,) = SecretSearch({"name": SECRET}).in_files(tmp_path.rglob("*"), below=tmp_path)
    assert found.where == "inner/b" and SECRET not in repr(found)


def test_short_secrets_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        SecretSearch({"age": "17"})
