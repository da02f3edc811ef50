"""`python -m deploy`: wait for the services that $JCREDIT_HOME/stack.toml names, make the topics, bring the database to this schema.

For services that something else starts (compose.yaml); the local stack does the same in `jcredit up`.
"""

import os
import sys
from pathlib import Path

from deploy.local import MissingError, stack
from deploy.migrate import MigrationError, migrate


def main() -> int:
    """0 when all is ready; 3 and a sentence when a service or the schema is not."""
    try:
        where = stack.load(Path(os.environ.get("JCREDIT_HOME", ".local")))
        stack.wait_until_ready(where)
        migrate(where.dsn, _say)
    except (MissingError, MigrationError) as error:
        _say(str(error))
        return 3
    _say("ready")
    return 0


def _say(message: str) -> None:
    sys.stderr.write(message + "\n")


if __name__ == "__main__":
    sys.exit(main())
