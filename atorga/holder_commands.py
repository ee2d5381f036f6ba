"""``atorga holder``: what an operator of a data holder hands to an auditor, and what waits in its spool.

Reads the same configuration as ``atorga serve holder`` and the database beside it; the process may run.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

EPOCH_DAY = 86_400


def add_parser(commands: Any) -> None:
    holder = commands.add_parser("holder", help="records of a data holder, for its operator")
    verbs = holder.add_subparsers(dest="verb", required=True, metavar="VERB")
    records = verbs.add_parser("records", help="the proven allows of one day, as its root is made of them")
    records.add_argument("day", type=_day, metavar="DAY", help="2026-11-22 (UTC), or days since 1970")
    spool = verbs.add_parser("spool", help="urgent accesses by law whose notice the consent service has not logged")
    for verb in (records, spool):
        verb.add_argument("--config", type=Path, required=True, metavar="FILE", help="the data holder's configuration")
        verb.add_argument("--profile", choices=("production", "sandbox"), default="production")


def run(given: argparse.Namespace) -> int:
    """Prints one JSON object; 2 where configuration or database cannot be used."""
    from sqlalchemy.exc import SQLAlchemyError

    from atorga.serve.settings import ConfigurationError

    try:
        party, engine = _open(given.config, given.profile)
        answer = _records(party, engine, given.day) if given.verb == "records" else _spool(party, engine)
    except (ConfigurationError, OSError) as fault:
        print(f"holder: {fault}", file=sys.stderr)
        return 2
    except SQLAlchemyError as fault:
        print(f"holder: the database does not answer ({type(fault).__name__})", file=sys.stderr)
        return 2
    print(json.dumps(answer))
    return 0


def _open(configuration: Path, profile: str) -> "tuple[str, Engine]":
    from atorga.serve.holder import DATABASE
    from atorga.serve.holder_settings import settings
    from atorga.serve.settings import ConfigurationError, load
    from consent.holder.schema import open_engine

    head, rest = load(configuration, profile="sandbox" if profile == "sandbox" else "production")
    made = settings(head, rest)
    path = head.data / DATABASE
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no database of a data holder")
    return made.party, open_engine(f"sqlite:///{path}")


def _records(party: str, engine: "Engine", day: int) -> dict[str, Any]:
    from consent.holder.records import RecordStore, records_root

    records = RecordStore(engine).of_day(day)
    return {
        "holder": party,
        "day": day,
        "count": len(records),
        "root": records_root(records),
        "records": [record.to_json() for record in records],
    }


def _spool(party: str, engine: "Engine") -> dict[str, Any]:
    from consent.holder.law_journal import LawJournal

    return {"holder": party, "notices": LawJournal(engine, lambda: 0.0).overview()}


def _day(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 6:
        return int(text)
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // EPOCH_DAY
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: a day as 2026-11-22, or a number of days") from None
