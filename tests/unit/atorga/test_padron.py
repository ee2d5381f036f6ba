"""The synthetic residents, their two registers, and the one whose data occur nowhere else."""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from atorga.town.card_certificates import Person
from atorga.town.padron import (
    DAY_ONE,
    INCOME_YEARS,
    RESIDENTS,
    Resident,
    draw_demo_resident,
    neighbourhoods,
    nif,
    residents,
    write_padron,
    write_register,
)


@pytest.fixture(scope="module")
def everybody() -> list[Resident]:
    return residents()


def test_the_city_is_barcelona() -> None:
    found = neighbourhoods()
    assert len(found) == 73 == len({one.name for one in found})
    districts = list(dict.fromkeys(one.district for one in found))
    assert districts == [
        "Ciutat Vella", "Eixample", "Sants-Montjuïc", "Les Corts", "Sarrià-Sant Gervasi", "Gràcia", "Horta-Guinardó",
        "Nou Barris", "Sant Andreu", "Sant Martí",
    ]  # fmt: skip
    sizes = [sum(one.district == name for one in found) for name in districts]
    assert sizes == [4, 6, 8, 3, 6, 5, 11, 13, 7, 10]


def test_residents_are_the_same_in_every_town(everybody: list[Resident]) -> None:
    assert len(everybody) == RESIDENTS == len({one.nif for one in everybody})
    assert residents()[:50] == everybody[:50]
    assert {one.home for one in everybody} == set(neighbourhoods()), "somebody lives everywhere"


def test_residents_are_plausible(everybody: list[Resident]) -> None:
    for one in everybody:
        assert one.nif == nif(int(one.nif[:8])) and one.nif[0] == "9"
        assert one.birthdate <= one.resident_since <= DAY_ONE
        assert len(one.income) in (0, len(INCOME_YEARS)) and all(amount >= 0 for amount in one.income)
        assert 1 <= one.household_size <= 7
        assert one.nif not in repr(one) and one.given_name not in repr(one)
    children = sum(not one.income for one in everybody)
    assert RESIDENTS // 20 < children < RESIDENTS // 4


def test_nif_letters() -> None:
    assert nif(12_345_678) == "12345678Z" and nif(0) == "00000000T"


def test_demo_resident_occurs_nowhere_else(everybody: list[Resident]) -> None:
    text = "\n".join(
        f"{one.nif} {one.given_name} {one.family_name} {one.birthdate} {one.resident_since} {one.income}"
        for one in everybody
    ).lower()
    drawn = [draw_demo_resident(secrets.token_bytes, everybody) for _ in range(20)]
    assert len({one.nif for one in drawn}) == len({one.given_name for one in drawn}) == 20
    for one in drawn:
        for value in (one.nif[:8], one.given_name, one.surname1, one.surname2, one.birthdate, one.income[-1]):
            assert str(value).lower() not in text
        assert len(one.given_name) >= 7 and one.given_name.isascii()
        assert 15_000 < one.income[-1] < 21_000 and one.income[-1] % 10
        # an adult whom a card can be made for
        assert (DAY_ONE - one.birthdate).days > 24 * 365
        Person(one.nif, one.given_name, one.surname1, one.surname2, one.birthdate)


def test_registers(everybody: list[Resident], tmp_path: Path) -> None:
    some = everybody[:300]
    padron, register = tmp_path / "a" / "padron.sqlite", tmp_path / "b" / "register.sqlite"
    for _ in range(2):  # a town that is made again replaces them
        write_padron(padron, some)
        write_register(register, some)
    assert padron.stat().st_mode & 0o777 == register.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(padron)) as found:
        rows = found.execute("SELECT * FROM resident ORDER BY row_id").fetchall()
    first = some[0]
    assert len(rows) == 300 and rows[0] == (
        1, first.nif, first.given_name, first.family_name, first.birthdate.isoformat(), "Barcelona",
        first.home.district, first.home.name, first.resident_since.isoformat(),
    )  # fmt: skip
    with closing(sqlite3.connect(register)) as found:
        numbers = dict(found.execute("SELECT nif, row_id FROM resident").fetchall())
        incomes = found.execute("SELECT row_id, year, amount_eur FROM income").fetchall()
        sizes = dict(found.execute("SELECT row_id, size FROM household").fetchall())
    assert sorted(numbers.values()) == list(range(1, 301)) == sorted(sizes)
    assert [numbers[one.nif] for one in some] != list(range(1, 301)), "rows of one register say nothing of the other"
    for one in some:
        row = numbers[one.nif]
        assert sizes[row] == one.household_size
        assert tuple(amount for number, _, amount in incomes if number == row) == one.income
