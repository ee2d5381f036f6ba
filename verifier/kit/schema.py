"""Opening the kit's database, and bringing it to the newest schema."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from consent.ledger.schema import open_engine

DATABASE = "kit.db"


def open_database(folder: Path) -> Engine:
    """An SQLite file with its tables; a grant or withdrawal that was acknowledged survives a power cut."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    config = Config()
    config.set_main_option("script_location", str(files("verifier.kit") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    (folder / DATABASE).chmod(0o600)
    return engine
