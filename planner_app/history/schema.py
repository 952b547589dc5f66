"""The schema's version: telling it, creating it, and bringing an older one up to date.

A new database is written straight from the tables, which spares the first start the import of
Alembic; a test holds that running all migrations gives the very same schema.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

HEAD = "0001"
"""The newest migration. Every one of `migrations/versions` has its number, counted up from 0001."""

SEARCH_INDEX = """CREATE VIRTUAL TABLE search_index USING fts5(
    title, body, content='', tokenize='unicode61 remove_diacritics 2')"""
"""Holds no text, only where words stand; rowid is `search_entry.id`."""

Version = Literal["new", "current", "older", "newer", "foreign"]


def version_of(connection: sqlite3.Connection) -> Version:
    """How the schema of an open database stands to this program's; a plain SELECT, no change."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return "new"
    if "alembic_version" not in tables:
        return "foreign"
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        return "foreign"
    if row[0] == HEAD:
        return "current"
    return "older" if str(row[0]).isdigit() and str(row[0]) < HEAD else "newer"


def create(connection: Connection) -> None:
    """Writes the newest schema into an empty database, within the caller's transaction."""
    from planner_app.history.tables import METADATA

    METADATA.create_all(connection)
    connection.exec_driver_sql(SEARCH_INDEX)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")


def migrate(connection: Connection, target: str = "head") -> None:
    """Runs the missing migrations within the caller's transaction. Imports Alembic."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
