"""``atorga vocabulary`` and ``atorga procedures``."""

import io
from pathlib import Path

from atorga import catalogue_commands
from atorga.cli import parser

ENTRIES = Path(__file__).parents[3] / "consent/procedure/entries"


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = catalogue_commands.run(parser().parse_args(arguments), stdout=out, stderr=err)
    return code, out.getvalue(), err.getvalue()


def test_a_term_is_found_in_the_readers_language() -> None:
    code, out, _ = run("vocabulary", "benefici", "públic", "--language", "ca")
    assert code == 0
    assert out.splitlines()[:2] == ["Benefici públic", "  https://w3id.org/dpv#PublicBenefit"]


def test_a_language_without_labels_says_what_it_shows() -> None:
    assert run("vocabulary", "discapacidad", "--language", "eu")[1].startswith("Discapacidad [es]\n")


def test_nothing_found() -> None:
    assert run("vocabulary", "qwertyuiop") == (1, "", "")


def test_the_catalogue_is_listed() -> None:
    code, out, _ = run("procedures", "list", "--language", "ca")
    assert code == 0
    assert "rent-subsidy: Ajut per al lloguer (income.band, household.size; https://" in out
    assert "shelter-place: Plaça d'allotjament d'urgència (housing.need, household.size; illustrative)" in out


def test_lint_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    assert run("procedures", "lint", str(ENTRIES)) == (0, "", "")
    text = (ENTRIES / "rent-subsidy.toml").read_text(encoding="utf-8")
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace("retention_days = 90", "retention_days = 9000"), encoding="utf-8")
    (tmp_path / "worse.toml").write_text("no", encoding="utf-8")
    code, _, err = run("procedures", "lint", str(tmp_path))
    assert code == 1
    assert f"{bad}: retention_days: 9000" in err
    assert "procedure 'worse': not TOML" in err
    assert run("procedures", "lint", str(bad))[0] == 1


def test_lint_of_nothing(tmp_path: Path) -> None:
    assert run("procedures", "lint", str(tmp_path))[0] == 1
    assert run("procedures", "lint", str(tmp_path / "none.toml"))[0] == 2
