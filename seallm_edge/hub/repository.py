"""Repository of a hub at one commit: its files, and streams and ranges of their bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..errors import HubError, InvalidOption, did_you_mean
from ..files.hashes import SHA256
from ..files.sizes import readable
from .addresses import HUB_HOSTS, endpoint_of
from .connection import Hub, check_allowed
from .digest import Digest, PlainDigest, new_sha256
from .file_names import harmless_names
from .network import Network
from .patience import Retries, Trouble
from .refusals import LOG_IN_TO_NETWORK, Wanted
from .source import RemoteSource
from .stream import FileStream
from .tokens import token_for
from .transfer import Transfer

# Few retries, so that a user without a network sees the error within seconds; no download can be lost yet.
_OPENING_RETRIES = 3
_MAX_SMALL_FILE = 64 << 20
_MAX_LISTING = 64 << 20
# ref: huggingface_hub, validate_repo_id
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_SPEC = re.compile(rf"({_PART}/{_PART})(?:@([A-Za-z0-9_.][\w./+-]*))?", re.ASCII)
_GIT_OBJECT = re.compile(r"[0-9a-f]{40}")
_MAX_TERMS = 200  # characters of a licence's name or link


@dataclass(frozen=True)
class RemoteFile:
    """File of a repository: size in bytes, the sha256 of its content if the hub lists it, else its git blob id."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True)
class Repository:
    """Repository at the commit `revision`: its files by name, whether it is gated, and its licence.

    The name and the link of the licence are one printable line each; a link to a file of the repository is its page.
    """

    id: str
    revision: str
    files: Mapping[str, RemoteFile]
    gated: bool
    license: str | None
    license_link: str | None
    _hub: Hub = field(repr=False, compare=False)

    def file(self, name: str) -> RemoteFile:
        """The file of that name. Raises HubError, with the nearest name, if there is none."""
        if name not in self.files:
            problem = f"{self.id} has no file {name}{did_you_mean(name, self.files)}"
            raise HubError(problem, f"see its files: {self._hub.endpoint}/{self.id}/tree/{self.revision}")
        return self.files[name]

    def read(self, name: str) -> bytes:
        """Read a file of at most 64 MiB, and check its hash. Raises HubError, HashMismatch."""
        file = self.file(name)
        if file.size > _MAX_SMALL_FILE:
            problem = f"{name} of {self.id} is {readable(file.size)}, too large for what it should be"
            raise HubError(problem, "check that the repository is a model's")
        data = bytearray(file.size)
        with self.stream(file) as stream:
            stream.readinto(memoryview(data))
            stream.finish()
        return bytes(data)

    def stream(self, file: RemoteFile, offset: int = 0, state: bytes | None = None) -> FileStream:
        """Stream of `file` from byte `offset` to its end, hashed during the read. The first read sends the request.

        `state` is a stream's `digest_state()` at `offset`. Without it, a file with a known hash is downloaded from its
        first byte, to compute the hash.
        """
        _check_span(file, offset, 0)
        digest, start = _digest_from(file, offset, state)
        expected = file.sha256 or file.blob_id or ""
        return FileStream(file.name, file.size, offset, self._transfer(file, start, file.size), digest, expected)

    def read_range(self, file: RemoteFile, offset: int, n: int) -> bytes:
        """Read `n` bytes of `file` from `offset` on, without a hash check. Raises HubError."""
        _check_span(file, offset, n)
        data = bytearray(n)
        rest = memoryview(data)
        with contextlib.closing(self._transfer(file, offset, offset + n)) as transfer:
            while rest:
                rest = rest[transfer.readinto(rest) :]
        return bytes(data)

    def source(self, file: RemoteFile) -> RemoteSource:
        """Source for the download of `file`."""
        url = f"{self._hub.endpoint}/{self.id}/resolve/{quote(self.revision, safe='')}/{quote(file.name)}"
        return RemoteSource(
            name=file.name.rpartition("/")[2],
            size=file.size,
            sha256=file.sha256,
            identity=f"{self.id}@{self.revision}/{file.name}",
            blob_id=file.blob_id,
            url=url,
            wanted=Wanted(self._hub.endpoint, self.id, self.revision, file.name, bool(self._hub.token)),
            hub=self._hub,
        )

    def _transfer(self, file: RemoteFile, start: int, end: int) -> Transfer:
        return self.source(file).transfer(start, end)


def open_repository(spec: str, network: Network | None = None) -> Repository:
    """Open the repository `ORG/NAME` or `ORG/NAME@REVISION` (branch, tag or commit) at its current commit.

    Raises InvalidOption, HubError.
    """
    network = network or Network()
    name, revision = parse_spec(spec, network.endpoint)
    hub = _hub(network)
    url = f"{hub.endpoint}/api/models/{name}/revision/{quote(revision, safe='')}?blobs=true"
    listing = _listing(hub, url, Wanted(hub.endpoint, name, revision, has_token=bool(hub.token)))
    try:
        return _repository(hub, listing)
    except (AttributeError, KeyError, TypeError, InvalidOption) as error:
        problem = f"{hub.endpoint} does not tell what {name} holds ({type(error).__name__}: {error})"
        raise HubError(problem, "use another hub in HF_ENDPOINT", url=url) from error


def _hub(network: Network) -> Hub:
    endpoint = endpoint_of(network.endpoint)
    if endpoint.fingerprint:  # a share needs no token, and is not the network that HF_HUB_OFFLINE forbids
        return Hub(network, endpoint)
    check_allowed()
    return Hub(network, endpoint, token_for(endpoint))


def parse_spec(spec: str, endpoint: str | None = None) -> tuple[str, str]:
    """Parse a repository spec or the URL of its page: (`ORG/NAME`, revision), "main" by default.

    Pages are those of huggingface.co and of the hub at `endpoint`, HF_ENDPOINT by default. Raises InvalidOption.
    """
    hosts = "|".join(map(re.escape, (*HUB_HOSTS, endpoint_of(endpoint).address.partition("://")[2])))
    page = re.fullmatch(rf"https?://(?:{hosts})/([^/]+/[^/]+?)(?:/tree/([^/]+))?/?", spec)
    bare = "@".join(filter(None, page.groups())) if page else spec
    match = _SPEC.fullmatch(bare)
    if match is None or ".." in bare or "--" in match[1]:
        hint = "give ORG/NAME or ORG/NAME@REVISION, such as SeaLLMs/SeaLLMs-v3-1.5B-Chat"
        raise InvalidOption(f"{spec!r} is no name of a repository", hint)
    return match[1], match[2] or "main"


def _listing(hub: Hub, url: str, wanted: Wanted) -> Any:
    network = hub.network
    stop = network.stop.child()
    retries = Retries(network.patience.at_most(_OPENING_RETRIES), stop, network.on_trouble, url)
    while True:
        try:
            with contextlib.closing(hub.open(url, wanted, stop)) as answer:
                return json.loads(answer.read_all(_MAX_LISTING))
        except Trouble as trouble:
            stop.check(wanted.repository, url)
            retries.wait_after(trouble)
        except (ValueError, RecursionError) as error:
            raise HubError(f"{hub.endpoint} sends no listing of {wanted.repository}", LOG_IN_TO_NETWORK, url) from error


def _repository(hub: Hub, listing: Any) -> Repository:
    card, commit = listing.get("cardData") or {}, listing["sha"]
    if not isinstance(commit, str) or not _GIT_OBJECT.fullmatch(commit):
        raise TypeError(f"its commit is {str(commit)[:_MAX_TERMS]!r}")
    name = parse_spec(listing["id"])[0]
    harmless = set(harmless_names(entry["rfilename"] for entry in listing["siblings"]))
    files = [_file(entry) for entry in listing["siblings"] if entry["rfilename"] in harmless]
    return Repository(
        id=name,
        revision=commit,
        files={file.name: file for file in files},
        gated=bool(listing.get("gated")),
        license=_one_line(card.get("license_name") or card.get("license")),
        license_link=_absolute(_one_line(card.get("license_link")), f"{hub.endpoint}/{name}/blob/{commit}"),
        _hub=hub,
    )


def _one_line(text: object) -> str | None:
    """Text as one line, without characters that control a terminal; None for anything else."""
    if not isinstance(text, str):
        return None
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:_MAX_TERMS] or None


def _absolute(link: str | None, folder: str) -> str | None:
    """Web address of a link on a page; the name of a file is one in the repository's `folder`."""
    if link is None or link.lower().startswith(("https://", "http://")):
        return link
    return f"{folder}/{quote(link)}"


def _file(entry: Mapping[str, Any]) -> RemoteFile:
    large = entry.get("lfs") or {}
    size = large.get("size", entry.get("size"))
    if not isinstance(size, int) or size < 0:
        raise TypeError(f"the size of {entry['rfilename']} is {size!r}")
    sha256, blob_id = str(large.get("sha256")), str(entry.get("blobId"))
    return RemoteFile(
        name=entry["rfilename"],
        size=size,
        sha256=sha256 if SHA256.fullmatch(sha256) else None,
        # A large file's blob is the pointer to it, not its content.
        blob_id=blob_id if not large and _GIT_OBJECT.fullmatch(blob_id) else None,
    )


def _digest_from(file: RemoteFile, offset: int, state: bytes | None) -> tuple[Digest | None, int]:
    """(running hash, offset from which the file must be read to complete it)."""
    if file.sha256:
        resumed = new_sha256(state, offset)
        return (resumed, offset) if resumed else (new_sha256(), 0)
    if file.blob_id:
        header = f"blob {file.size}\0".encode()
        return PlainDigest(hashlib.sha1(header, usedforsecurity=False)), 0
    return None, offset


def _check_span(file: RemoteFile, offset: int, n: int) -> None:
    if offset < 0 or n < 0 or offset + n > file.size:
        raise HubError(f"{file.name} has {file.size} bytes: {n} from {offset} on are not among them")
