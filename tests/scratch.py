"""Another home of the local stack, beside `.local`: its own services and data, what was fetched shared. Tests and benchmarks break things there."""

from collections.abc import Callable
from pathlib import Path

from deploy.local import stack
from deploy.local.stack import Stack

ROOT = Path(__file__).parent.parent
SHARED = ("cache", "programs")


def home(name: str) -> Path:
    """`.local/<name>`, with what is fetched and unpacked shared with `.local`."""
    main, scratch = ROOT / ".local", ROOT / ".local" / name
    scratch.mkdir(parents=True, exist_ok=True)
    for part in SHARED:
        (main / part).mkdir(exist_ok=True)
        if not (scratch / part).exists():
            (scratch / part).symlink_to(main / part)
    return scratch


def up(name: str, say: Callable[[str], None]) -> Stack:
    """The services of that home, running."""
    return stack.up(home(name), say)
