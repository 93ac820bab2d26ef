"""One process at a time for each pull: its lock, the ticket that says what was begun, and the folder of its files.

All are in the folder of incoming models: `KEY.lock`, `KEY.progress`, and the folder `KEY` with `ticket.json`. The
system releases the lock when the process ends for any reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ... import paths
from ...errors import HubError, StoreError
from ...files import atomic
from ...files.disk_space import allocated
from ...files.locking import locked_alone
from ...hub import Stop
from .progress import OnProgress, shared_progress

_POLL_SECONDS = 0.5
_TICKET = "ticket.json"
_MAX_NAME = 80  # characters of a key before its digest


@dataclass(frozen=True)
class Ticket:
    """Record of a pull that was begun: the model as it was asked for, the name and type of its file, its origin, and a
    digest of what comes.

    `is_chosen_here`: the program chose the type by the free memory and disk of that moment, and keeps to it.
    """

    model: str
    name: str
    type_name: str
    origin: str
    digest: str
    is_chosen_here: bool = True

    @property
    def key(self) -> str:
        """Name of its lock and folder: readable, safe on every system, the same for the same files."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip(".-")
        return f"{name[:_MAX_NAME] or 'model'}-{self.digest[:12]}"

    @property
    def folder(self) -> Path:
        """Folder of its unfinished files."""
        return paths.incoming_dir() / self.key

    @property
    def progress_file(self) -> Path:
        """File that shares its progress with other processes."""
        return paths.incoming_dir() / f"{self.key}.progress"

    @property
    def lock_file(self) -> Path:
        """File that is locked while a process pulls."""
        return paths.incoming_dir() / f"{self.key}.lock"

    def allocated(self) -> int:
        """Disk bytes that its unfinished files take."""
        return allocated(self.folder.glob("*")) if self.folder.is_dir() else 0


def begun(model: str) -> Ticket | None:
    """Ticket of the latest pull of this model, without a type, that was begun and did not end; None if none is."""
    folder = paths.incoming_dir()
    files = folder.glob(f"*/{_TICKET}") if folder.is_dir() else ()
    found = [(file.stat().st_mtime, ticket) for file in files if (ticket := _read(file))]
    return next((ticket for _, ticket in sorted(found, key=lambda pair: -pair[0]) if _continues(ticket, model)), None)


@contextlib.contextmanager
def alone(ticket: Ticket, stop: Stop, tell: OnProgress | None) -> Iterator[None]:
    """Hold the lock of a pull; its folder and its ticket are there.

    While another process holds it, `tell` gets the progress which that one shares, and `stop` ends the wait with a
    HubError. The folder stays if the block fails, and is removed if it succeeds. Raises StoreError if the folder is
    not writable.
    """
    with _locked(ticket, stop, tell):
        with _written():
            ticket.folder.mkdir(parents=True, exist_ok=True)  # the other process may have ended, and removed it
            atomic.write_text(ticket.folder / _TICKET, json.dumps(asdict(ticket)))
        yield
        shutil.rmtree(ticket.folder, ignore_errors=True)
        for file in (ticket.progress_file, ticket.lock_file):
            with contextlib.suppress(OSError):  # Windows removes no open file; garbage collection does later
                file.unlink()


@contextlib.contextmanager
def _locked(ticket: Ticket, stop: Stop, tell: OnProgress | None) -> Iterator[None]:
    """Hold the lock of the file that is at the lock's place, also where another process made it anew meanwhile."""
    while True:
        with _written():
            ticket.folder.mkdir(parents=True, exist_ok=True)
            lock = ticket.lock_file.open("ab")
        with lock:
            while not locked_alone(lock):
                if stop.is_set():
                    raise HubError("the pull was stopped")
                if tell and (progress := shared_progress(ticket.progress_file)):
                    tell(progress)
                stop.sleep(_POLL_SECONDS)
            if _is_in_place(ticket.lock_file, lock.fileno()):
                yield
                return


def _is_in_place(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one at `path`: its owner removes it at the end, and a third pull makes another."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _continues(ticket: Ticket, model: str) -> bool:
    return ticket.model == model and ticket.is_chosen_here and bool(ticket.type_name)


def _read(file: Path) -> Ticket | None:
    try:
        return Ticket(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"cannot write in {paths.incoming_dir()}: {error.strerror or error}"
        raise StoreError(problem, "make it writable, or set SEALLM_HOME to a folder on another disk") from error
