"""A bundle: a magic line, gzip members of JSON lines with base64 payloads, and last the SHA-256 (hex) of all before it.

Reading never trusts: the last line is compared first, then each member is opened in turn. One flipped byte anywhere is a `BrokenBundleError`.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"jcredit-bundle 1\n"
TRAILER = 65  # 64 hex digits and a line end
PIECE = 1 << 20
LONGEST_LINE = 64 << 20


class BrokenBundleError(Exception):
    """A file that is no whole bundle; says where it breaks."""


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a bundle, in order, after its last line was compared with all before it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            check_whole(file, size)
            file.seek(len(MAGIC))
            yield from _records(file, size - TRAILER)
    except OSError as error:
        raise BrokenBundleError(f"{path}: {error.strerror or error}") from error


def check_whole(file: BinaryIO, size: int) -> None:
    """Compare magic line and last line; BrokenBundleError if either is not what it has to be."""
    if file.read(len(MAGIC)) != MAGIC:
        raise BrokenBundleError("the first line is not that of a bundle")
    if size < len(MAGIC) + TRAILER:
        raise BrokenBundleError("the file ends before its last line")
    digest, left = hashlib.sha256(MAGIC), size - TRAILER - len(MAGIC)
    while left:
        piece = file.read(min(PIECE, left))
        digest.update(piece)
        left -= len(piece)
    if file.read(TRAILER) != digest.hexdigest().encode() + b"\n":
        raise BrokenBundleError("the SHA-256 in the last line is not that of what stands before it: the file was changed or cut")


def _records(file: BinaryIO, end: int) -> Iterator[dict[str, Any]]:
    """JSON lines of the gzip members between here and `end`."""
    number = 0
    try:
        with gzip.GzipFile(fileobj=_Upto(file, end)) as lines:
            while line := lines.readline(LONGEST_LINE):
                number += 1
                record = json.loads(line)
                if not isinstance(record, dict) or "kind" not in record:
                    raise BrokenBundleError(f"line {number} is no record")
                yield record
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BrokenBundleError(f"line {number + 1} can not be read: {error}") from error


class _Upto:
    """A file that ends earlier, as gzip wants it."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self.file, self.end = file, end

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.end - self.file.tell())
        return self.file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()
