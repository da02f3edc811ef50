"""A registry simulator, served in this process on a free port: one server, a fresh registry behind it for each test."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from simulators.registry import Store, make_app


class Front:
    """Hands each request to the registry of the test that runs."""

    behind: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.behind(scope, receive, send)


@pytest.fixture(scope="session")
def front() -> Iterator[tuple[Front, str]]:
    """The server, and its address."""
    listening, app = socket.create_server(("127.0.0.1", 0)), Front()
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    assert server.started, "the registry simulator did not start"
    yield app, f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture
def registry_url(front: tuple[Front, str], tmp_path: Path) -> str:
    """Address of a fresh registry."""
    app, url = front
    app.behind = make_app(Store(tmp_path / "registry.sqlite"))
    return url
