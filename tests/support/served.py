"""A real server on loopback, in a thread of its own; and plain requests to it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.errors import ModelNotFound
from seallm_edge.server import ServerSettings, build_app
from seallm_edge.server.model_directory import ListedModel
from seallm_edge.server.serving import listen, new_server


class Served:
    """Server of an application: `url`, and `port` on 127.0.0.1. As a context manager it ends with its block."""

    def __init__(self, settings: ServerSettings | None = None, **parts: Any) -> None:
        self.settings = settings or ServerSettings(port=0)
        self.app = build_app(self.settings, **parts)
        self._socket = listen(self.settings)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._started = threading.Event()
        self._server = new_server(self.app, self._started.set)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([self._socket])))

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._started.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()
        assert not self._thread.is_alive()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of a request; a body that is not bytes is sent as JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """(status, JSON) of a request."""
        status, _, data = self.request(method, path, body, headers)
        return status, json.loads(data)


class Shelf:
    """Directory of models that are no files: `names`, the first of which is the default."""

    def __init__(self, *names: str) -> None:
        self._models = [ListedModel(name, Path(f"{name}.gguf"), 1000, 0, "", "Q4_0", None) for name in names]

    def all(self) -> list[ListedModel]:
        return self._models

    def find(self, name: str | None) -> ListedModel:
        found = [one for one in self._models if not name or one.name == name]
        if not found:
            raise ModelNotFound(name or "", known=[one.name for one in self._models])
        return found[0]


def scripted(*replies: Any, settings: ServerSettings | None = None, delay: float = 0.0) -> Served:
    """Server of one model without weights, "scripted", whose replies are given."""
    return Served(settings, load=loader(replies, delay), directory=Shelf("scripted"))


def loader(replies: Iterable[Any], delay: float = 0.0) -> Callable[..., SeaLLM]:
    """Load of a model without weights."""
    engine = ScriptedEngine(replies, delay=delay)
    return lambda model, on_progress: SeaLLM.from_engine(engine)
