"""A registry of credits, simulated: the contract of `registry_client/registry.openapi.json` over HTTP, kept in one SQLite file.

It issues under the scheme DEMO only, so that nothing it says can be taken for an official credit. Numbers of a series run on without a hole and are
never used twice; a key gets the same answer for ever; both survive kill -9. `POST /faults` makes it misbehave on purpose (`fault`),
`POST /registrations` tells it what other programmes have (`app`). It imports nothing of the pipeline.
"""

from pathlib import Path

import uvicorn

from simulators.registry.app import make_app
from simulators.registry.store import Store

__all__ = ["Store", "make_app", "run"]


def run(host: str, port: int, db_path: Path) -> None:
    """Serve until stopped."""
    uvicorn.run(make_app(Store(db_path)), host=host, port=port, log_level="warning", timeout_graceful_shutdown=2)
