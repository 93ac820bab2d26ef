"""Running shares for tests, and requests to them."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seallm_edge.store import add
from seallm_edge.store.sharing.share import Share, share
from support.stores import sha256, write_model


def stored(tmp_path: Path, name: str, seed: int = 0, **options: Any) -> Path:
    made = write_model(tmp_path / f"{name}.gguf", seed, **options)
    return add([made], origin="import:mine", sha256s={made.name: sha256(made)}).path


@contextmanager
def serving(*models: str | Path, **options: Any) -> Iterator[Share]:
    with share(models, port=0, **options) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        try:
            yield running
        finally:
            running.close()
            thread.join(10)
            assert not thread.is_alive()


def port_of(running: Share) -> int:
    return int(running.address.partition("#")[0].rpartition(":")[2])


def asked(running: Share, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(running), timeout=10)
    connection.request(method, quote(path, safe="/?=&%"), headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), body


def ended(connection: socket.socket) -> bool:
    """Whether the server ends a connection without an answer."""
    try:
        return not connection.recv(1000).startswith(b"HTTP")
    except ConnectionResetError:
        return True


def answers(running: Share) -> bool:
    try:
        return asked(running, "/")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def eventually(is_true: Callable[[], bool]) -> bool:
    for _ in range(200):
        if is_true():
            return True
        time.sleep(0.05)
    return False
