"""What a person is told when something can not be done: what, why, and what to do. The exit code says of which sort it is."""

import contextlib
import sys
from collections.abc import Iterator

import psycopg

NO, BAD_INPUT, NO_SERVICE = 1, 2, 3


class Trouble(Exception):
    """Something that can not be done; `code` is the exit code (1 the answer is no, 2 bad input, 3 a service is not there)."""

    def __init__(self, message: str, code: int = BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def report_trouble() -> Iterator[None]:
    """Turn an expected error into a sentence on stderr and its exit code; a bug keeps its traceback."""
    try:
        yield
    except Trouble as trouble:
        say(str(trouble))
        sys.exit(trouble.code)
    except psycopg.OperationalError as error:
        say(f"the database does not answer ({str(error).strip().splitlines()[0]}); start it with `jcredit up`")
        sys.exit(NO_SERVICE)


def say(message: str) -> None:
    """A message for the person, on stderr."""
    sys.stderr.write(message + "\n")
