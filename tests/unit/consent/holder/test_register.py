"""Any SQL register, by configuration: what it reads, and what it refuses to hand on."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from consent.errors import RegisterFault
from consent.holder import register as register_module
from consent.holder.register import AttributeSource, Lookup, Query, SqlRegister, open_register
from consent.holder.resolution import Binned, CoarseNumber, CoarseText, Predicate, Reduction, Resolutions, numbered

NOW = 1_000_000

SOURCES = {
    "amount": AttributeSource("integer", Lookup("facts", "amount", "owner", "row")),
    "ratio": AttributeSource("number", Query("SELECT ratio FROM facts WHERE owner = :row", "row")),
    "street": AttributeSource("text", Lookup("facts", "street", "owner", "row")),
    "alone": AttributeSource("boolean", Lookup("facts", "alone", "owner", "row")),
    "noise": AttributeSource(
        "number", None, Query("SELECT level FROM noise WHERE owner = :row AND at >= :since", "since")
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "any town's register.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE "person file" ("key" TEXT, number TEXT);
            CREATE TABLE facts (owner TEXT, amount INTEGER, ratio REAL, street TEXT, alone INTEGER);
            CREATE TABLE noise (owner TEXT, at INTEGER, level REAL);
            INSERT INTO "person file" VALUES ('k-1', '11'), ('k-2', '22'), ('k-3', '33'), ('k-4', '33'), (NULL, '44');
            INSERT INTO facts VALUES ('k-1', 17000, 0.5, 'Gran Via', 1), ('k-2', NULL, NULL, NULL, NULL);
            INSERT INTO noise VALUES ('k-1', 999990, 10), ('k-1', 999995, 20);
            INSERT INTO noise VALUES ('k-1', 900000, 99), ('k-1', 999999, NULL);
            """
        )
    connection.close()
    return path


@pytest.fixture
def register(path: Path) -> SqlRegister:
    row = Lookup("person file", "key", "number", "value")
    return SqlRegister(open_register(f"sqlite:///{path}"), row, SOURCES)


def test_rows(register: SqlRegister) -> None:
    assert register.row_of("11") == '"k-1"' and register.row_of("99") is None and register.row_of("44") is None
    with pytest.raises(RegisterFault, match="more than one row"):
        register.row_of("33")
    assert register.row_of("11' OR '1'='1") is None


def test_a_row_key_is_a_whole_number_or_a_text(path: Path) -> None:
    for key, kept in (("7", "7"), ("'k'", '"k"'), ("1.5", None), ("x'00'", None)):
        found = SqlRegister(open_register(f"sqlite:///{path}"), Query(f"SELECT {key} WHERE :value", "value"), SOURCES)
        if kept is not None:
            assert found.row_of("1") == kept
            continue
        with pytest.raises(RegisterFault, match="a row key is"):
            found.row_of("1")


def test_a_series_has_numbers_and_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = Query("SELECT street FROM facts WHERE owner = :row AND 0 <= :since", "since")
    words = {"noise": AttributeSource("text", None, series)}
    with pytest.raises(RegisterFault, match="a reading is not a number"):
        SqlRegister(open_register(f"sqlite:///{path}"), Query("SELECT :value", "value"), words).series(
            '"k-1"', "noise", 0
        )
    noise = SqlRegister(open_register(f"sqlite:///{path}"), Query("SELECT :value", "value"), SOURCES)
    monkeypatch.setattr(register_module, "MAX_SERIES", 3)
    with pytest.raises(RegisterFault, match="more than 3 readings"):
        noise.series('"k-1"', "noise", 0)
    monkeypatch.setattr(register_module, "MAX_SERIES", 4)
    assert sorted(noise.series('"k-1"', "noise", 0)) == [10, 20, 99]


def test_values(register: SqlRegister) -> None:
    assert [register.value('"k-1"', name) for name in ("amount", "ratio", "street", "alone")] == [
        17_000, 0.5, "Gran Via", True,
    ]  # fmt: skip
    assert [register.value('"k-2"', name) for name in ("amount", "ratio", "street", "alone")] == [None] * 4
    assert register.value('"nobody"', "amount") is None
    assert register.series('"k-1"', "noise", NOW - 10) == [10.0, 20.0]
    for name in ("noise", "unknown"):
        with pytest.raises(RegisterFault):
            register.value('"k-1"', name)
    with pytest.raises(RegisterFault):
        register.series('"k-1"', "amount", 0)


@pytest.mark.parametrize(
    ("attribute", "column", "value"),
    [
        ("amount", "amount", "much"),
        ("amount", "amount", 1.5),
        ("amount", "amount", 2**60),
        ("ratio", "ratio", float("inf")),
        ("ratio", "ratio", "half"),
        ("street", "street", b"Gran Via"),
        ("street", "street", "x" * 1_025),
        ("alone", "alone", 2),
        ("alone", "alone", "yes"),
    ],
)
def test_a_value_of_another_type_is_a_fault(
    path: Path, register: SqlRegister, attribute: str, column: str, value: Any
) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE facts SET {column} = ? WHERE owner = 'k-1'", [value])
    connection.close()
    with pytest.raises(RegisterFault) as caught:
        register.value('"k-1"', attribute)
    assert str(value) not in str(caught.value)


def test_two_values_are_a_fault(path: Path, register: SqlRegister) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO facts (owner, amount) VALUES ('k-1', 1)")
    connection.close()
    with pytest.raises(RegisterFault, match="more than one value"):
        register.value('"k-1"', "amount")


def test_it_is_read_and_never_written(path: Path) -> None:
    row = Query("DELETE FROM facts WHERE owner = :value RETURNING owner", "value")
    with pytest.raises(RegisterFault):
        SqlRegister(open_register(f"sqlite:///{path}"), row, {}).row_of("k-1")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (2,)
    connection.close()


def test_wrong_names_show_at_start(path: Path, register: SqlRegister) -> None:
    register.check()
    engine = open_register(f"sqlite:///{path}")
    row = Query("SELECT key FROM nothing WHERE number = :value", "value")
    wrong = {"amount": AttributeSource("integer", Query("SELECT amounts FROM facts WHERE owner = :row", "row"))}
    series = {"noise": AttributeSource("number", None, Query("SELECT 1 FROM x WHERE :row = 1 AND :since = 1", "since"))}
    good = Lookup("person file", "key", "number", "value")
    for faulty, said in (
        (SqlRegister(engine, row, {}), "what finds a resident's row: "),
        (SqlRegister(engine, good, wrong), "what is asked for amount: no such column: amounts"),
        (SqlRegister(engine, good, series), "what is asked for noise: no such table: x"),
    ):
        with pytest.raises(RegisterFault, match=said):
            faulty.check()


def test_sources_that_cannot_be() -> None:
    good = Query("SELECT :row", "row")
    for make in (
        lambda: Query("SELECT 1", "row"),
        lambda: AttributeSource("date", good),
        lambda: AttributeSource("text", None),
        lambda: AttributeSource("number", None, Query("SELECT :since", "since")),
    ):
        with pytest.raises(RegisterFault):
            make()


# Resolutions.


def test_bands() -> None:
    band = Binned((10, 20), ("low", "middle", "high"))
    assert [band(value) for value in (-5, 9, 9.99, 10, 19, 20, 10**9)] == [
        "low", "low", "low", "middle", "middle", "high", "high",
    ]  # fmt: skip
    assert Binned((10, 20), numbered(3))(15) == "2"


def test_predicates_and_coarse_values() -> None:
    assert [Predicate(below=10)(value) for value in (9, 10)] == [True, False]
    assert [Predicate(at_least=0)(value) for value in (-1, 0)] == [False, True]
    assert [CoarseNumber(100)(value) for value in (0, 99, 199, -1, 150.7)] == [0, 0, 100, -100, 100]
    assert CoarseText({"Gran Via": "Eixample"})("Gran Via") == "Eixample"
    with pytest.raises(RegisterFault) as caught:
        CoarseText({"Gran Via": "Eixample"})("Carrer Secret")
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["17", True, None])
@pytest.mark.parametrize("reduction", [Binned((1,), ("a", "b")), Predicate(below=1), CoarseNumber(1)], ids=str)
def test_numbers_only(reduction: Reduction, value: Any) -> None:
    with pytest.raises(RegisterFault):
        reduction(value)


def test_reductions_that_cannot_be() -> None:
    for make in (
        lambda: Binned((), ("all",)),
        lambda: Binned((2, 1), ("a", "b", "c")),
        lambda: Binned((1, 1), ("a", "b", "c")),
        lambda: Binned((1, 2), ("a", "b")),
        lambda: Binned((1, 2), ("a", "b", "a")),
        lambda: Predicate(),
        lambda: Predicate(below=1, at_least=1),
        lambda: CoarseNumber(0),
    ):
        with pytest.raises(RegisterFault):
            make()


REDUCTIONS: dict[str, Reduction] = {
    "binned:three": Binned((10_000, 20_000), ("low", "middle", "high")),
    "coarse:quarter": CoarseText({"Gran Via": "Eixample"}),
}


def test_reading(register: SqlRegister) -> None:
    resolutions = Resolutions(register, SOURCES, REDUCTIONS)

    def read(attribute: str, resolution: str, row: str = '"k-1"') -> Any:
        return resolutions.read(row, attribute, resolution, now=NOW)

    assert read("amount", "raw") == 17_000
    assert read("amount", "binned:three") == "middle" and read("street", "coarse:quarter") == "Eixample"
    assert read("noise", "average:10") == 15.0 and read("noise", "average:1") is None
    assert read("amount", "binned:three", '"k-2"') is None
    with pytest.raises(RegisterFault):
        read("amount", "binned:unknown")


def test_what_is_declared_must_be_possible(register: SqlRegister) -> None:
    resolutions = Resolutions(register, SOURCES, REDUCTIONS)
    resolutions.check("amount", ["raw", "binned:three"])
    resolutions.check("noise", ["average:60"])
    for attribute, name in (
        ("amount", "binned:unknown"),
        ("street", "binned:three"),
        ("amount", "coarse:quarter"),
        ("amount", "average:60"),
        ("noise", "raw"),
        ("noise", "average:soon"),
        ("noise", "average:0"),
        ("unknown", "raw"),
    ):
        with pytest.raises(RegisterFault):
            resolutions.check(attribute, [name])
