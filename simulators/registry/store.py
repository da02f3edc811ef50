"""What the registry remembers, in one SQLite file: each change is one transaction on disk before it is answered."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from simulators.registry.form import IssuanceRequest, Registration

LARGEST = 999_999_999
SCHEMA = """
CREATE TABLE IF NOT EXISTS series (series TEXT PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS issuance (key TEXT PRIMARY KEY, account TEXT NOT NULL, claim TEXT NOT NULL, request_sha256 TEXT NOT NULL, request BLOB NOT NULL,
                                     answer TEXT NOT NULL, UNIQUE (account, claim));
CREATE TABLE IF NOT EXISTS holding (series TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, account TEXT NOT NULL, PRIMARY KEY (series, first));
CREATE TABLE IF NOT EXISTS registration (activity_key TEXT NOT NULL, programme TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL,
                                         PRIMARY KEY (activity_key, programme, start));
CREATE TABLE IF NOT EXISTS enquiry (enquiry INTEGER PRIMARY KEY AUTOINCREMENT, question BLOB NOT NULL, answer TEXT NOT NULL);
"""
OVERLAPPING = """
SELECT activity_key, programme, start, "end" FROM registration
WHERE activity_key IN (SELECT value FROM json_each(?)) AND start < ? AND "end" > ? ORDER BY activity_key, programme, start
"""


class RefusedError(Exception):
    """What the registry will not do; the message says why."""


class Store:
    """The registry's book. One writer at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._one = path, threading.Lock()
        with self._transaction() as db:
            for table in SCHEMA.split(";"):  # executescript would commit before it began
                db.execute(table)

    def issue(self, *, key: str, raw: bytes, request: IssuanceRequest, at: str) -> dict[str, Any]:
        """Give the credits asked for, once a key: the same key and bytes get the same answer."""
        sha256 = hashlib.sha256(raw).hexdigest()
        with self._transaction() as db:
            if known := db.execute("SELECT request_sha256, answer FROM issuance WHERE key = ?", (key,)).fetchone():
                return _same(known, key, sha256)
            if other := db.execute("SELECT key FROM issuance WHERE account = ? AND claim = ?", (request.account, request.claim)).fetchone():
                raise RefusedError(f"claim {request.claim} of {request.account} was issued under the key {other[0]}")
            blocks = [_take(db, f"{request.scheme}-{request.kind}-{v.fiscal_year}", v.tonnes, request.account) for v in request.vintages]
            answer = {"key": key, "request_sha256": sha256, "account": request.account, "blocks": blocks, "issued_at": at}
            db.execute("INSERT INTO issuance VALUES (?, ?, ?, ?, ?, ?)", (key, request.account, request.claim, sha256, raw, json.dumps(answer)))
        return answer

    def issued(self, key: str) -> dict[str, Any] | None:
        """What was answered to a key."""
        with self._transaction() as db:
            row = db.execute("SELECT answer FROM issuance WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def other_than(self, key: str) -> dict[str, Any] | None:
        """The newest answer to another key."""
        with self._transaction() as db:
            row = db.execute("SELECT answer FROM issuance WHERE key <> ? ORDER BY rowid DESC LIMIT 1", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def holdings(self, account: str) -> list[dict[str, Any]]:
        """The blocks of an account."""
        with self._transaction() as db:
            rows = db.execute("SELECT series, first, last FROM holding WHERE account = ? ORDER BY series, first", (account,)).fetchall()
        return [spelled(*row) for row in rows]

    def register(self, registrations: Iterable[Registration]) -> None:
        """Note what programmes have; again is harmless."""
        rows = [(r.activity_key, r.programme, r.start.isoformat(), r.end.isoformat()) for r in registrations]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO registration VALUES (?, ?, ?, ?)", rows)

    def enquire(self, *, raw: bytes, keys: list[str], start: date, end: date, at: str) -> dict[str, Any]:
        """Answer an enquiry and keep question and answer."""
        with self._transaction() as db:
            found = db.execute(OVERLAPPING, (json.dumps(keys), end.isoformat(), start.isoformat())).fetchall()
            hits = [dict(zip(("activity_key", "programme", "start", "end"), row, strict=True)) for row in found]
            number = db.execute("INSERT INTO enquiry (question, answer) VALUES (?, '')", (raw,)).lastrowid
            answer = {"enquiry": f"enquiry-{number:06d}", "answered_at": at, "question_sha256": hashlib.sha256(raw).hexdigest(), "hits": hits}
            db.execute("UPDATE enquiry SET answer = ? WHERE enquiry = ?", (json.dumps(answer), number))
        return answer

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._one:
            db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            finally:
                db.close()  # without a COMMIT this takes everything back


def spelled(series: str, first: int, last: int) -> dict[str, Any]:
    """A block as the contract spells it."""
    return {"first": f"{series}-{first:09d}", "last": f"{series}-{last:09d}", "tonnes": last - first + 1}


def _take(db: sqlite3.Connection, series: str, tonnes: int, account: str) -> dict[str, Any]:
    """The next numbers of a series, put into an account."""
    db.execute("INSERT OR IGNORE INTO series VALUES (?, 1)", (series,))
    (first,) = db.execute("SELECT next FROM series WHERE series = ?", (series,)).fetchone()
    last = first + tonnes - 1
    if last > LARGEST:
        raise RefusedError(f"series {series} has {LARGEST - first + 1} numbers left, {tonnes} were asked for")
    db.execute("UPDATE series SET next = ? WHERE series = ?", (last + 1, series))
    db.execute("INSERT INTO holding VALUES (?, ?, ?, ?)", (series, first, last, account))
    return spelled(series, first, last)


def _same(known: tuple[str, str], key: str, sha256: str) -> dict[str, Any]:
    if known[0] != sha256:
        raise RefusedError(f"key {key} was used for another request")
    return dict(json.loads(known[1]))
