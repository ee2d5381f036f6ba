"""Who lives in the sandbox city: the synthetic residents, and the demo resident with a card of their own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from atorga.town.card_certificates import Person
from atorga.town.card_pki import CardPki
from atorga.town.folder import TownFolder
from atorga.town.padron import RESIDENTS, draw_demo_resident, residents, write_padron, write_register
from identity.randomness import Random

DEMO_ROW = RESIDENTS + 1
"""The demo resident is the last row of the padrón."""


def padron_file(folder: TownFolder) -> Path:
    return folder.root / "registers" / "padron.sqlite"


def register_file(folder: TownFolder) -> Path:
    return folder.root / "registers" / "register.sqlite"


def settle(folder: TownFolder, cards: CardPki, *, random: Random) -> None:
    """Draws the demo resident, fills both registers and makes the card."""
    everybody = residents()
    demo = draw_demo_resident(random, everybody)
    everybody.append(demo)
    write_padron(padron_file(folder), everybody)
    write_register(register_file(folder), everybody)
    person = Person(demo.nif, demo.given_name, demo.surname1, demo.surname2, demo.birthdate)
    made = cards.issue(person, folder.card)
    assert (made.login, made.pin_file) == (folder.card_file, folder.card_pin_file)


def demo_facts(folder: TownFolder) -> dict[str, str]:
    """What is known of the demo resident, by name: strings that occur nowhere else, to be searched for."""
    with closing(sqlite3.connect(f"file:{padron_file(folder)}?mode=ro", uri=True)) as padron:
        nif, given_name, family_name, birthdate = padron.execute(
            "SELECT nif, given_name, family_name, birthdate FROM resident WHERE row_id = ?", (DEMO_ROW,)
        ).fetchone()
    with closing(sqlite3.connect(f"file:{register_file(folder)}?mode=ro", uri=True)) as register:
        (income,) = register.execute(
            "SELECT amount_eur FROM income JOIN resident USING (row_id) WHERE nif = ? ORDER BY year DESC LIMIT 1",
            (nif,),
        ).fetchone()
    surname1, surname2 = family_name.split(" ")
    return {
        "DNI number": nif[:8],
        "given name": given_name,
        "first surname": surname1,
        "second surname": surname2,
        "birth date": birthdate,
        "income": str(income),
        "PIN": folder.card_pin_file.read_text(encoding="ascii").strip(),
    }


def demo_district(folder: TownFolder) -> str:
    """Where the demo resident lives: shared with a tenth of the city."""
    with closing(sqlite3.connect(f"file:{padron_file(folder)}?mode=ro", uri=True)) as padron:
        (district,) = padron.execute("SELECT district FROM resident WHERE row_id = ?", (DEMO_ROW,)).fetchone()
    return str(district)
