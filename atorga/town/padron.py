"""The sandbox city's residents, and the two registers that know them.

10,000 synthetic residents from a fixed seed, over Barcelona's real districts and neighbourhoods, and
one more: the *demo resident*, drawn at random for each town. What is known of that one (names, DNI
number, date of birth, exact income) are strings that occur nowhere else, so that a search of all files
for them says where a person's data went.

``padron.sqlite``, read by the issuer:
    resident(row_id INTEGER PRIMARY KEY, nif TEXT UNIQUE, given_name TEXT, family_name TEXT, birthdate TEXT,
             municipality TEXT, district TEXT, neighbourhood TEXT, resident_since TEXT)

``register.sqlite``, read by the data holder:
    resident(row_id INTEGER PRIMARY KEY, nif TEXT UNIQUE)
    income(row_id INTEGER, year INTEGER, amount_eur INTEGER, PRIMARY KEY (row_id, year))    adults only
    household(row_id INTEGER PRIMARY KEY, size INTEGER)

Dates are ISO 8601. The two registers number their rows differently: a row number of one says nothing
about the other.

DNI numbers are from 90,000,000 on: valid in form, and given to nobody yet.
"""

import csv
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from importlib.resources import files
from io import StringIO
from pathlib import Path
from random import Random as SeededRandom

from identity.card.holder import nif_letter
from identity.codec import strict_json
from identity.randomness import Random

RESIDENTS = 10_000
SEED = 8_019
"""Barcelona's number among the municipalities of Spain (INE 08019)."""

DAY_ONE = date(2026, 1, 1)
"""The day on which the register was made; ages count from here."""

INCOME_YEARS = (2024, 2025)
FIRST_NUMBER, LAST_NUMBER = 90_000_000, 99_999_998
MUNICIPALITY = "Barcelona"

DEMO_INCOME = (15_001, 20_999)
"""In the band that the rent subsidy of the story asks about."""

_ONSETS = ("br", "cl", "d", "dr", "f", "gl", "k", "l", "m", "n", "pr", "r", "s", "st", "t", "tr", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_ENDINGS = ("l", "m", "n", "r", "s", "t", "x", "z")


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    name: str
    district: str


@dataclass(frozen=True, slots=True)
class Resident:
    """One row. The text form hides the person."""

    nif: str = field(repr=False)
    given_name: str = field(repr=False)
    surname1: str = field(repr=False)
    surname2: str = field(repr=False)
    birthdate: date = field(repr=False)
    home: Neighbourhood = field(repr=False)
    resident_since: date = field(repr=False)
    income: tuple[int, ...] = field(repr=False)
    """Of ``INCOME_YEARS``, in euros; empty for children."""
    household_size: int = field(repr=False)

    @property
    def family_name(self) -> str:
        return f"{self.surname1} {self.surname2}"


def neighbourhoods() -> list[Neighbourhood]:
    """The 73 of Barcelona, in their official order."""
    content = (files("atorga.town") / "residents" / "neighbourhoods.csv").read_text("utf-8")
    return [Neighbourhood(row["neighbourhood"], row["district"]) for row in csv.DictReader(StringIO(content))]


def residents() -> list[Resident]:
    """The same 10,000 in every town."""
    drawn = SeededRandom(SEED)  # noqa: S311  # the same for everybody, on purpose
    content = (files("atorga.town") / "residents" / "names.json").read_text("utf-8")
    names = strict_json.parse_object(content, what="names")
    homes = neighbourhoods()
    numbers = drawn.sample(range(FIRST_NUMBER, LAST_NUMBER + 1), RESIDENTS)
    made = []
    for number in numbers:
        birthdate = DAY_ONE - timedelta(days=int(drawn.triangular(0, 36_500, 15_500)))
        since = birthdate + timedelta(days=int((DAY_ONE - birthdate).days * drawn.choice((0.0, drawn.random()))))
        is_adult = (DAY_ONE - birthdate).days >= 18 * 365.25
        # Tens of euros: the demo resident's exact income is nobody else's.
        income = min(9_900, max(400, int(drawn.lognormvariate(7.6, 0.5)))) * 10
        made.append(
            Resident(
                nif=nif(number),
                given_name=drawn.choice(names[drawn.choice(("women", "men"))]),
                surname1=drawn.choice(names["surnames"]),
                surname2=drawn.choice(names["surnames"]),
                birthdate=birthdate,
                home=drawn.choice(homes),
                resident_since=since,
                income=(income, income + 10 * drawn.randint(-40, 120)) if is_adult else (),
                household_size=drawn.choices(range(1, 8), weights=(31, 29, 18, 15, 4, 2, 1))[0],
            )
        )
    return made


def draw_demo_resident(random: Random, others: Sequence[Resident]) -> Resident:
    """Somebody whose names, number, date of birth and income appear nowhere among ``others``."""
    text = "\n".join(
        f"{one.nif} {one.given_name} {one.family_name} {one.birthdate} {one.resident_since} {one.income}".lower()
        for one in others
    )

    def fresh(draw: Callable[[], str]) -> str:
        while True:
            found = draw()
            if found.lower() not in text:
                return found

    homes = neighbourhoods()
    number = int(fresh(lambda: str(_below(random, LAST_NUMBER - FIRST_NUMBER) + FIRST_NUMBER)))
    birthdate = date.fromisoformat(
        fresh(lambda: (DAY_ONE - timedelta(days=25 * 365 + _below(random, 40 * 365))).isoformat())
    )
    lowest, highest = DEMO_INCOME

    def income() -> str:
        # Not a multiple of ten, as all others are.
        return str((lowest + _below(random, highest - lowest)) // 10 * 10 + 1 + _below(random, 9))

    latest = int(fresh(income))
    return Resident(
        nif=nif(number),
        given_name=fresh(lambda: _name(random, 3)),
        surname1=fresh(lambda: _name(random, 3)),
        surname2=fresh(lambda: _name(random, 4)),
        birthdate=birthdate,
        home=homes[_below(random, len(homes))],
        resident_since=date(2011, 1, 1) + timedelta(days=_below(random, 5_000)),
        income=(latest + 7_013, latest),
        household_size=3,
    )


def nif(number: int) -> str:
    digits = f"{number:08d}"
    return digits + nif_letter(digits)


def write_padron(path: Path, everybody: Sequence[Resident]) -> None:
    """The issuer's register; row numbers count from 1 in the order given."""
    rows = [
        (
            row, one.nif, one.given_name, one.family_name, one.birthdate.isoformat(), MUNICIPALITY, one.home.district,
            one.home.name, one.resident_since.isoformat(),
        )
        for row, one in enumerate(everybody, start=1)
    ]  # fmt: skip
    _write(
        path,
        "CREATE TABLE resident (row_id INTEGER PRIMARY KEY, nif TEXT UNIQUE, given_name TEXT, family_name TEXT, "
        "birthdate TEXT, municipality TEXT, district TEXT, neighbourhood TEXT, resident_since TEXT);",
        [("INSERT INTO resident VALUES (?,?,?,?,?,?,?,?,?)", rows)],
    )


def write_register(path: Path, everybody: Sequence[Resident]) -> None:
    """The data holder's register; its rows are in an order of their own."""
    mixed = sorted(everybody, key=lambda one: sha256(b"register" + one.nif.encode("ascii")).digest())
    numbered = list(enumerate(mixed, start=1))
    incomes = [
        (row, year, amount) for row, one in numbered for year, amount in zip(INCOME_YEARS, one.income, strict=False)
    ]
    _write(
        path,
        "CREATE TABLE resident (row_id INTEGER PRIMARY KEY, nif TEXT UNIQUE);"
        "CREATE TABLE income (row_id INTEGER, year INTEGER, amount_eur INTEGER, PRIMARY KEY (row_id, year));"
        "CREATE TABLE household (row_id INTEGER PRIMARY KEY, size INTEGER);",
        [
            ("INSERT INTO resident VALUES (?,?)", [(row, one.nif) for row, one in numbered]),
            ("INSERT INTO income VALUES (?,?,?)", incomes),
            ("INSERT INTO household VALUES (?,?)", [(row, one.household_size) for row, one in numbered]),
        ],
    )


def _write(path: Path, tables: str, rows: Sequence[tuple[str, Sequence[tuple[object, ...]]]]) -> None:
    """Whole or not at all; nobody else may read it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(temporary)) as database, database:
        database.executescript(tables)
        for statement, values in rows:
            database.executemany(statement, values)
    temporary.replace(path)


def _below(random: Random, limit: int) -> int:
    """Evenly enough: 64 bits against limits of at most 27."""
    return int.from_bytes(random(8), "big") % limit


def _name(random: Random, syllables: int) -> str:
    parts = [_ONSETS[_below(random, len(_ONSETS))] + _VOWELS[_below(random, len(_VOWELS))] for _ in range(syllables)]
    return ("".join(parts) + _ENDINGS[_below(random, len(_ENDINGS))]).capitalize()
