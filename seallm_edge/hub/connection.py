"""HTTP requests to a hub and to the servers it redirects to; the HTTP client's errors become ours here.

Knows nothing of retries: a failure that may be temporary is raised as Trouble.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import HubError
from .addresses import Endpoint, check_encrypted, has_fingerprint, is_loopback, without_secrets
from .body import Body
from .network import Network
from .patience import Stop, Trouble
from .refusals import LOG_IN_TO_NETWORK, Wanted, check_kind, check_status

if TYPE_CHECKING:
    import httpx2

_MAX_REDIRECTS = 5
_MAX_CONNECT_SECONDS = 15.0  # seconds
_REDIRECTS = {301, 302, 303, 307, 308}
_CHECK_ENDPOINT = "check HF_ENDPOINT"
_BLOCK_BYTES = 1 << 16
# Environment variables that name trusted authorities; the first one that is set counts.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Answer:
    """HTTP response whose body is not read yet: a file or a part of it. The owner closes it.

    Reads wait for the network's rate limit, and are counted in its traffic.
    """

    def __init__(self, hub: Hub, response: httpx2.Response, told: dict[str, str], stop: Stop) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.host = _host(response.url)
        self.told_by_hub = told
        self._hub = hub
        self._response = response
        self._stop = stop
        self._body = Body(response)

    def readinto(self, target: memoryview) -> int:
        """Read body bytes into `target`: their number, 0 at the end. Raises Trouble."""
        network = self._hub.network
        granted = network.limit.grant(len(target), self._stop) if network.limit else len(target)
        with self._hub.translated(self._response.url):
            count = self._body.readinto(target[:granted])
        if network.limit:
            network.limit.give_back(granted - count)
        network.traffic.add(count)
        return count

    def read_all(self, most: int) -> bytes:
        """Read the whole body. Raises Trouble, and ValueError if it is longer than `most` bytes."""
        body, block = bytearray(), memoryview(bytearray(_BLOCK_BYTES))
        while count := self.readinto(block):
            body += block[:count]
            if len(body) > most:
                raise ValueError(f"more than {most} bytes")
        return bytes(body)

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._response.close()


class Hub:
    """HTTP client for one hub or one server, as `network` says, and with the environment's proxies and certificates.

    Keeps no connection between two requests, so there is nothing to close.
    """

    def __init__(self, network: Network, endpoint: Endpoint, token: str | None = None) -> None:
        """Raises HubError if the network's settings are invalid. `token` is sent to the endpoint only."""
        import httpx2

        self.network = network
        self.endpoint = endpoint.address
        self.token = None if endpoint.fingerprint else token
        self._fingerprint = endpoint.fingerprint
        patience = network.patience
        slowest = httpx2.Timeout(patience.stall_seconds, connect=min(patience.stall_seconds, _MAX_CONNECT_SECONDS))
        try:
            self._origin = _origin(httpx2.URL(self.endpoint))
            self._client = httpx2.Client(
                timeout=slowest,
                limits=httpx2.Limits(max_keepalive_connections=0),
                verify=_trust(endpoint.fingerprint),
                trust_env=not endpoint.fingerprint,  # a share is on the local network: no proxy leads to it
                mounts=dict.fromkeys(_loopback_patterns(self._origin)),
            )
        except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
            # A SOCKS proxy whose package is not installed, a proxy or an endpoint that is no URL, certificates.
            hint = "check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE"
            raise HubError(f"the network's settings cannot be used: {error}", hint) from error

    def open(self, url: str, wanted: Wanted, stop: Stop, span: str = "") -> Answer:
        """Send a GET request for `url`, or for a range of it (`span`, "bytes=5-"). Raises Trouble, HubError.

        The token is sent to the hub only, not to the servers it redirects to.
        """
        import httpx2

        told: dict[str, str] = {}
        with self.translated(url):
            target = httpx2.URL(url)
        for _ in range(_MAX_REDIRECTS + 1):
            stop.check(wanted.file or wanted.repository, url)
            response = self._send(target, stop, span)
            is_hub = _origin(target) == self._origin
            if is_hub:
                told |= response.headers
            if response.status_code not in _REDIRECTS:
                return self._checked(Answer(self, response, told, stop), is_hub, wanted)
            response.close()
            with self.translated(target):
                target = redirected(target, response.headers.get("location", ""))
        problem = f"{target.host} redirects more than {_MAX_REDIRECTS} times"
        raise HubError(problem, LOG_IN_TO_NETWORK, url=without_secrets(str(target)))

    def answers(self, stop: Stop) -> bool:
        """Whether the endpoint sends any HTTP answer."""
        import httpx2

        try:
            with self.translated(self.endpoint):
                self._send(httpx2.URL(self.endpoint), stop, "", "HEAD").close()
        except Trouble:
            return False
        return True

    def over(self, network: Network) -> Hub:
        """This hub over another `network`."""
        return Hub(network, Endpoint(self.endpoint, self._fingerprint), self.token)

    @contextlib.contextmanager
    def translated(self, url: httpx2.URL | str) -> Iterator[None]:
        """Turn the HTTP client's errors into Trouble, or HubError for a permanent failure."""
        import httpx2

        try:
            yield
        except httpx2.ConnectTimeout as error:
            raise Trouble(f"{_host(url)} does not answer") from error
        except httpx2.ConnectError as error:
            if (refused := _certificate_problem(error)) is not None:
                problem = f"the certificate of {_host(url)} is not trusted: {refused}"
                hint = f"set this computer's clock, or {LOG_IN_TO_NETWORK}; the address of a share ends in #…"
                raise HubError(problem, hint, url=without_secrets(str(url))) from error
            reason = re.sub(r"^\[(Errno|WinError) -?\d+\] ", "", str(error))
            raise Trouble(f"no connection to {_host(url)} ({reason})") from error
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise Trouble(f"nothing came from {_host(url)} for {self.network.patience.stall_seconds:g} s") from error
        except (httpx2.NetworkError, httpx2.RemoteProtocolError, OSError) as error:
            raise Trouble(f"the connection to {_host(url)} was lost") from error
        except httpx2.ProxyError as error:
            raise Trouble(f"the proxy refuses: {error}") from error
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            shown = without_secrets(str(url))
            raise HubError(f"{shown!r} cannot be asked for: {error}", _CHECK_ENDPOINT, url=shown) from error

    def _send(self, url: httpx2.URL, stop: Stop, span: str, method: str = "GET") -> httpx2.Response:
        check_encrypted(str(url))
        # A compressed response could not be resumed at a byte offset of the file.
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": f"seallm-edge/{importlib.metadata.version('seallm-edge')}",
        }
        if span:
            headers["Range"] = span
        if self.token and _origin(url) == self._origin:
            headers["Authorization"] = f"Bearer {self.token}"

        def watch(event: str, info: Mapping[str, Any]) -> None:
            self._watch(event, info, stop)

        with self.translated(url):
            request = self._client.build_request(method, url, headers=headers, extensions={"trace": watch})
            return self._client.send(request, stream=True)

    def _watch(self, event: str, info: Mapping[str, Any], stop: Stop) -> None:
        """Note the socket of a new connection; check its certificate before the request is sent.

        The HTTP client's `trace` extension calls this on every event.
        """
        if not (extra := getattr(info.get("return_value"), "get_extra_info", None)):
            return
        opened = extra("socket")
        stop.watch(opened)
        if event.endswith("connect_tcp.complete") and (limit := self.network.limit):
            # What the system receives ahead of us is not limited.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limit.receive_buffer)
        if event.endswith("start_tls.complete") and self._fingerprint:
            certificate = extra("ssl_object").getpeercert(True)  # its argument has no name
            if not has_fingerprint(certificate or b"", self._fingerprint):
                opened.close()
                problem = f"{self._origin} is another computer than the one whose address you were given"
                hint = "compare the letters after # with those that the share shows: a share keeps its own"
                raise HubError(problem, hint, url=self.endpoint)

    def _checked(self, answer: Answer, is_hub: bool, wanted: Wanted) -> Answer:
        try:
            check_status(answer.status, answer.headers, answer.host, is_hub, wanted)
            check_kind(answer.headers, answer.host, wanted)
        except BaseException:
            answer.close()
            raise
        return answer


def redirected(url: httpx2.URL, location: str) -> httpx2.URL:
    """URL that `url` redirects to. Raises HubError if it drops encryption or is no http(s) URL."""
    target = url.join(location)
    if not location or target.scheme not in ("http", "https"):
        raise HubError(f"{url.host} redirects to {location!r}", _CHECK_ENDPOINT, url=without_secrets(str(url)))
    is_local = url.scheme == "http" and is_loopback(url.host) and is_loopback(target.host)
    if target.scheme == "http" and not is_local:
        problem = f"{url.host} redirects to {target.host} without encryption"
        raise HubError(problem, LOG_IN_TO_NETWORK, url=without_secrets(str(url)))
    return target


def check_allowed() -> None:
    """Raise HubError if the environment forbids the network."""
    import huggingface_hub

    if huggingface_hub.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise HubError("HF_HUB_OFFLINE forbids the network", "unset HF_HUB_OFFLINE, or give a folder on this computer")


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{_host(url)}"


def _loopback_patterns(origin: str) -> list[str]:
    """URL patterns of this computer, to which no proxy leads; that of the `origin` too if it is this computer."""
    host = urlsplit(origin).hostname or ""
    own = {f"[{host}]" if ":" in host else host} if is_loopback(host) else set()
    return [f"all://{name}" for name in sorted({"127.0.0.1", "localhost", "[::1]"} | own)]


def _host(url: httpx2.URL | str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] if isinstance(url, str) else url.netloc.decode("ascii")


def _trust(fingerprint: str) -> ssl.SSLContext | bool:
    """What the client accepts: any certificate where its fingerprint is checked, else those of known authorities.

    The client reads only SSL_CERT_FILE and SSL_CERT_DIR; the other variables are those of other programs.
    """
    if fingerprint:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    names = [name for name in _CERTIFICATES if os.environ.get(name)]
    if not names:
        return True
    path = Path(os.environ[names[0]])
    if not path.exists():
        hint = f"unset {names[0]}, or set it to a file of certificates in PEM"
        raise HubError(f"{names[0]} names no file: {path}", hint)
    is_others = names[0] in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return ssl.create_default_context(cafile=str(path)) if is_others else True


def _certificate_problem(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None
