"""`serve`: uvicorn with this server's limits on connections. SIGINT and SIGTERM drain; a second one ends at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import SeaLLMError
from ..hints import Hint, Option
from .app import build_app
from .settings import ServerSettings

_HEAD_SECONDS = 15.0  # for all of a request's head
_IDLE_SECONDS = 30  # between two requests of a connection
_DRAIN_SECONDS = 60  # for replies under way when the server ends
_BACKLOG = 512


class _Connection(H11Protocol):
    """Connection that is closed where no request begins for a while, however slowly the head of one comes."""

    def connection_made(self, transport: Any) -> None:
        """Watch the connection from now on."""
        super().connection_made(transport)
        self._last: object = None
        self._watch = self.loop.call_later(_HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        is_waiting = self.cycle is None or self.cycle.response_complete
        if is_waiting and self.cycle is self._last:  # no request since the last look
            self.transport.close()
            return
        self._last = self.cycle
        self._watch = self.loop.call_later(_HEAD_SECONDS, self._look)


def serve(settings: ServerSettings, on_start: Callable[[str], None] = lambda url: None) -> None:
    """Serve until SIGINT or SIGTERM. `on_start` gets the URL once requests are taken.

    Raises SeaLLMError where the address is taken, and ModelNotFound if the settings' model is not there.
    """
    app = build_app(settings)
    with listen(settings) as listening:
        asyncio.run(new_server(app, lambda: on_start(url_of(listening))).serve([listening]))


def new_server(app: ASGIApp, on_start: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """Server of an application, which `serve([socket])` starts. `on_start` is called once requests are taken."""
    config = uvicorn.Config(
        app, http=_Connection, ws="none", lifespan="on", loop="asyncio", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=_IDLE_SECONDS, timeout_graceful_shutdown=_DRAIN_SECONDS,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return _Server(config, on_start)


def url_of(listening: socket.socket) -> str:
    """URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Server that tells when it takes requests. The first signal lets requests end, the second one ends them."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as requests to end, which is a way to leave like any other."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, or end at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        if self.started:
            self._on_start()


def listen(settings: ServerSettings) -> socket.socket:
    """Socket that listens. Raises SeaLLMError."""
    try:
        family, *_, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        problem = f"cannot listen on {settings.host} port {settings.port}: {reason.lower()}"
        raise SeaLLMError(problem, Hint("give another {port}", port=Option("port", 0))) from error
