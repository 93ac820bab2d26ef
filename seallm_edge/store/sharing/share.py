"""Share of installed models on the local network: read-only, by the hub's protocol, encrypted for other computers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from ...errors import InvalidOption, ModelFileError, StoreError
from ...gguf_file import split_name
from ...hints import Hint, Option
from ...hub.rate_limit import RateLimit
from ..carrying.copying import Progress
from ..installed import installed
from ..locate import locate
from .certificate import server_context
from .listing import SharedRepository, shared_repositories
from .server import ShareServer, ShareSettings, Transfer

PORT = 8976
LOOPBACK = "127.0.0.1"
_EVERYWHERE = ("0.0.0.0", "::")


class Share:
    """Running share of models; `share` makes it. `serve` runs until `close`, which any thread may call."""

    def __init__(self, server: ShareServer, repositories: Sequence[SharedRepository], host: str, mark: str) -> None:
        self.repositories = tuple(repositories)
        self._server = server
        self._host = host
        self._mark = mark
        self._is_serving = False

    @property
    def address(self) -> str:
        """Address for other programs: `http://127.0.0.1:8976`, or `https://HOST:8976#FINGERPRINT`."""
        name = f"[{self._host}]" if ":" in self._host else self._host
        port = self._server.server_address[1]
        return f"https://{name}:{port}#{self._mark}" if self._mark else f"http://{name}:{port}"

    @property
    def models(self) -> tuple[str, ...]:
        """Shared models as `ORG/NAME:FILE`, which a pull takes; of a split model the first part."""
        return tuple(
            f"{repository.id}:{name}"
            for repository in self.repositories
            for name in repository.files
            if (part := split_name(Path(name))) is None or part.number == 1
        )

    def serve(self) -> None:
        """Serve until `close` is called."""
        self._is_serving = True
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """End all transfers and the share. Another thread than that of `serve` calls it."""
        self._server.stop.set()
        if self._is_serving:
            self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Share:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.stop.set()
        self._server.server_close()


def share(
    models: Sequence[str | Path] = (),
    *,
    host: str | None = None,
    port: int = PORT,
    limit: RateLimit | None = None,
    progress: Progress | None = None,
    on_transfer: Callable[[Transfer], None] | None = None,
    on_error: Callable[[ModelFileError], None] | None = None,
) -> Share:
    """Share of `models` (names or paths), or of all installed ones, listening and not serving yet.

    Without `host`, on this computer only. With it, an address of this computer or "0.0.0.0" for all of them, encrypted:
    others check the fingerprint in `Share.address`. `port` 0 takes a free one. `progress` is of files whose sha256 is
    not known and is computed first; `on_transfer` gets each transfer at its end, from any thread. Of all models,
    damaged ones are left out, and `on_error` gets the error of each. Raises ModelNotFound, ModelFileError for a named
    model, InvalidOption and StoreError.
    """
    paths = [locate(model) for model in models] or [model.path for model in installed()]
    repositories = shared_repositories(paths, progress, None if models else on_error or _untold)
    tls, mark = (None, "") if host is None else server_context()
    address = host or LOOPBACK
    try:
        server = ShareServer((address, port), ShareSettings(repositories, tls, limit, on_transfer))
    except OSError as error:
        raise _cannot_listen(address, port, error) from error
    return Share(server, list(repositories.values()), own_address() if address in _EVERYWHERE else address, mark)


def _untold(_error: ModelFileError) -> None:
    pass


def own_address() -> str:
    """Address of this computer on its network: the one it would use for others; nothing is sent."""
    for family, other in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((other, 9))
                return str(probe.getsockname()[0])
            except OSError:
                continue
    return socket.gethostname()


def _cannot_listen(host: str, port: int, error: OSError) -> Exception:
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror) or "assign" in reason:
        other = f"give {own_address()}, or 0.0.0.0 for all addresses of this computer"
        return InvalidOption(f"{host} is no address of this computer", other)
    hint = Hint("give another port: {port}", port=Option("port", port + 1 if port < 65_535 else port - 1))
    return StoreError(f"cannot listen on {host}, port {port}: {reason}", hint)
