"""Check of a model's file against its record, at every load: size, modification time, header. Reads no weights."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..errors import ModelFileError
from ..gguf_file import Header
from ..hints import Command, Hint
from ..text.lines import local_minute
from . import index
from .index import Entry, stored_file

logger = logging.getLogger("seallm_edge")


def check_recorded(header: Header, fingerprint: str) -> None:
    """Compare a model with its record, if it has one; `fingerprint` is that of its header.

    Raises ModelFileError if a model that was got and checked is another one now. A file that the user put there may
    change: that is logged, and its record dropped. One that only has another modification time is logged once.
    """
    entry = index.entry_of(header.path)
    if entry is None:
        return
    sizes = tuple(file.size for file in entry.files)
    is_same = sizes == header.sizes and entry.fingerprint in ("", fingerprint)
    if not is_same and not entry.origin:
        when = local_minute(entry.verified or entry.added)
        logger.warning("%s is not the file that was here on %s: its record is dropped", header.path.name, when)
        _keep(entry, None)
    elif not is_same:
        raise _changed(entry, header)
    elif any(file.mtime_ns != file.place.stat().st_mtime_ns for file in entry.files):
        name = header.path.name
        logger.warning("%s was written to since it was verified: verify it", name)
        files = tuple(stored_file(file.place, file.sha256) for file in entry.files)
        _keep(entry, replace(entry, files=files, verified=None))


def _changed(entry: Entry, header: Header) -> ModelFileError:
    when = f" on {local_minute(entry.verified)}" if entry.verified else ""
    what = "size" if sum(file.size for file in entry.files) != header.file_size else "header"
    hint = Hint("see what is wrong: {verify}; or remove it and get it again: {remove}",
                verify=Command("verify", (str(header.path),)), remove=Command("rm", (str(header.path),)))  # fmt: skip
    return ModelFileError(header.path, f"is not the file that was checked{when}: its {what} is another", hint)


def _keep(old: Entry, new: Entry | None) -> None:
    """Write a changed record where the store can be written: a read-only store works too."""
    from ..errors import StoreError

    try:
        index.discard(old) if new is None else index.put(new)
    except StoreError as error:
        logger.debug("%s", error)
