"""Another home of the local stack, beside `.local`: its own services and data, what was fetched shared. Tests and benchmarks break things there.

`python -m tests.scratch up NAME` and `down [NAME …]` (all, if none is named) for make and CI.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local import processes, stack
from deploy.local.stack import Stack

ROOT = Path(__file__).parent.parent
MAIN = ROOT / ".local"
SHARED = ("cache", "programs")


def home(name: str) -> Path:
    """`.local/<name>`, with what is fetched and unpacked shared with `.local`."""
    scratch = MAIN / name
    scratch.mkdir(parents=True, exist_ok=True)
    for part in SHARED:
        (MAIN / part).mkdir(exist_ok=True)
        if not (scratch / part).exists():
            (scratch / part).symlink_to(MAIN / part)
    return scratch


def up(name: str, say: Callable[[str], None]) -> Stack:
    """The services of that home, running."""
    return stack.up(home(name), say)


def down(name: str) -> list[str]:
    """Stop what runs of that home; its data stays."""
    return [*processes.stop(home(name)), *stack.down(home(name))]


def emptied(name: str) -> Path:
    """That home, stopped, with nothing in it but what was fetched."""
    down(name)
    scratch = home(name)
    shutil.rmtree(scratch / "place" / "data", ignore_errors=True)
    for part in scratch.iterdir():
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)
        elif part.name not in (*SHARED, "place"):
            part.unlink()
    return scratch


def anew(name: str, say: Callable[[str], None]) -> Stack:
    """The services of that home, running, without any data of before."""
    return stack.up(emptied(name), say)


def main(arguments: Sequence[str]) -> int:
    def say(message: str) -> None:
        print(message, file=sys.stderr)

    match arguments:
        case ["up", name]:
            up(name, say)
        case ["down", *names]:
            for name in names or sorted(file.parent.name for file in MAIN.glob("*/stack.toml")):
                say(f"stopped in .local/{name}: {', '.join(down(name)) or 'nothing was running'}")
        case _:
            say(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
