"""One at a time: whoever changes a folder holds its lock meanwhile. A folder reached by another path, through a link, has the same lock."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.local import MissingError


@contextlib.contextmanager
def alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder, made if it is not there; who comes second is told so and waits. The lock ends with its process, however that ends."""
    try:
        folder.resolve().mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise MissingError(f"{folder} can not be written ({error.strerror}): it may be another user's; name a folder of yours in $JCREDIT_HOME") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another `jcredit up` is at work in {folder}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
