"""Bring a database to the schema of this checkout: `deploy/migrations/*.sql` in the order of their numbers, each once, each in one transaction.

The table `migration` holds each file's name and SHA-256. A file that was applied never changes: one that did is refused, and so is one that comes
before another which is applied already. Two migrations at once wait for each other.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6A637265  # "jcre"
TABLE = "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
APPLIED = "SELECT name, sha256 FROM migration ORDER BY name"
WRITE = "INSERT INTO migration (name, sha256) VALUES (%(name)s, %(sha256)s)"


class MigrationError(Exception):
    """The database can not be brought to this checkout's schema; the text says which file, why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file of `migrations/`."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of its UTF-8 bytes, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrate(dsn: str, say: Callable[[str], None], folder: Path = FOLDER) -> list[str]:
    """Apply what is not applied yet; the names of what was. Says each."""
    files = read(folder)
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        connection.execute("SET client_min_messages = warning")
        connection.execute(TABLE)
        applied = {str(name): str(digest) for name, digest in connection.execute(APPLIED)}
        todo = pending(files, applied)
        for migration in todo:
            say(f"migrating: {migration.name}")
            _apply(connection, migration)
    return [migration.name for migration in todo]


def read(folder: Path) -> list[Migration]:
    """All migrations in order; none at all, or two with one number, is refused."""
    files = [Migration(name=path.name, text=path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))]
    numbers = [file.name.partition("_")[0] for file in files]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if not files:
        raise MigrationError(f"{folder} holds no migration: the checkout is not whole")
    if twice:
        raise MigrationError(f"two migrations have the number {', '.join(twice)} in {folder}: give one of them the next free number")
    return files


def pending(files: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """What is to be applied, in order; refuses a history that is not this checkout's."""
    held = {file.name: file for file in files}
    if gone := sorted(set(applied) - set(held)):
        raise MigrationError(
            f"the database has {', '.join(gone)}, which this checkout does not: it was migrated by a newer or another one; use that, or a fresh database"
        )
    if changed := [name for name, digest in applied.items() if held[name].sha256 != digest]:
        raise MigrationError(
            f"{', '.join(sorted(changed))} changed after it was applied: undo the change and put it into a new migration, "
            "or start with a fresh database (`jcredit down`, remove the home's data/timescaledb, `jcredit up`)"
        )
    todo = [file for file in files if file.name not in applied]
    if applied and (late := [file.name for file in todo if file.name < max(applied)]):
        raise MigrationError(f"{', '.join(late)} comes before {max(applied)}, which is applied already: give it the next free number")
    return todo


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL(migration.text))
            connection.execute(WRITE, {"name": migration.name, "sha256": migration.sha256})
    except psycopg.Error as error:
        line = _line_of(error, migration.text)
        raise MigrationError(f"{migration.name}{line} could not be applied, and nothing of it was: {str(error).strip().splitlines()[0]}") from error


def _line_of(error: psycopg.Error, text: str) -> str:
    position = error.diag.statement_position
    return f":{text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""
