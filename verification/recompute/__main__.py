"""`python -m verification.recompute BUNDLE`: EQUAL and exit 0; the first difference and exit 1; a broken bundle and exit 2."""

import sys
from pathlib import Path

from verification.recompute.bundle import BrokenBundleError, read
from verification.recompute.count import ON_TRUST, records

EQUAL, DIFFERENT, BROKEN = 0, 1, 2


def main(arguments: list[str]) -> int:
    """Recalculate one bundle and say the answer on stdout."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m verification.recompute BUNDLE\n")
        return BROKEN
    return answer(Path(arguments[0]))


def answer(path: Path) -> int:
    """The exit code for a bundle, having said the answer."""
    try:
        recount = records(read(path))
        differences = recount.differences()
    except BrokenBundleError as error:
        sys.stderr.write(f"the bundle is broken: {error}\n")
        return BROKEN
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError) as error:
        sys.stderr.write(f"the bundle is broken: a record is not as it should be ({type(error).__name__}: {error})\n")
        return BROKEN
    sys.stderr.write(f"{recount.messages} messages, {recount.intervals} meter intervals; taken on trust: {'; '.join(ON_TRUST)}\n")
    if differences:
        sys.stdout.write(f"DIFFERENT {differences[0]}\n")
        return DIFFERENT
    sys.stdout.write("EQUAL\n")
    return EQUAL


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
