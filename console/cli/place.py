"""Where things are: the stack's home folder and the addresses in its stack.toml. The environment is read here and in __main__ alone."""

import os
from pathlib import Path

from console.cli.trouble import NO_SERVICE, Trouble
from deploy.local import MissingError
from deploy.local.stack import Stack, load

ROOT = Path(__file__).parents[2]


def home() -> Path:
    """$JCREDIT_HOME, or `.local` of the checkout."""
    return Path(os.environ.get("JCREDIT_HOME", ROOT / ".local")).resolve()


def stack() -> Stack:
    """The stack's addresses; Trouble (3) when it was never set up."""
    try:
        return load(home())
    except MissingError as error:
        raise Trouble(str(error), NO_SERVICE) from error


def dsn() -> str:
    """$JCREDIT_DSN, or the local stack's database."""
    return os.environ.get("JCREDIT_DSN") or stack().dsn


def registry() -> str:
    """The registry's base address: $JCREDIT_REGISTRY, or the local simulator's."""
    return os.environ.get("JCREDIT_REGISTRY") or stack().registry


def share() -> str:
    """What client ids, the shared subscription and the consumer group begin with: `jcredit`, or $JCREDIT_SHARE for another product on the same stack."""
    return os.environ.get("JCREDIT_SHARE", "jcredit")


def topics() -> tuple[str, str]:
    """The topics of telemetry and of rejected messages; $JCREDIT_TOPIC_SUFFIX is added to both for another product on the same stack."""
    suffix = os.environ.get("JCREDIT_TOPIC_SUFFIX", "")
    return f"telemetry.v1{suffix}", f"telemetry.rejected.v1{suffix}"
