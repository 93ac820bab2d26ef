"""Consent to licences: asked once, and kept in `licenses.json` of the data folder.

Licences that ask nothing of somebody who only runs a model need no consent.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import paths
from ...errors import StoreError
from ...files import atomic
from ...hints import Command, Hint, Option
from ..licenses import License

FILE_NAME = "licenses.json"
_FORMAT = 1
_ACCEPT = Option("accept_license", True)

AcceptLicense = bool | Callable[[License], bool]


def require_consent(
    license_: License, model: str, accept: AcceptLicense, title: str = "", way: Option | Command = _ACCEPT
) -> None:
    """Ask for consent to a licence that was not accepted yet, and keep the answer.

    `model` is the card's name or the origin that a consent may be bound to, `title` its name for people. `accept` True
    consents; a function is asked. Raises StoreError if there is no consent, with the `way` to give it.
    """
    if not license_.needs_consent or is_accepted(license_, model):
        return
    is_asked = callable(accept)
    if not (accept(license_) if callable(accept) else accept):
        what = "was not accepted" if is_asked else "must be accepted first"
        hint = Hint("read it, then give {way}", way=way)
        raise StoreError(f"the licence of {title or model} {what} ({license_})", hint)
    keep_consent(license_, model)


def is_accepted(license_: License, model: str) -> bool:
    """Whether this user accepted the licence before: for any model if its link is https, else for this one."""
    same = (e for e in accepted() if (e.get("license"), e.get("link")) == (license_.name, license_.link))
    return any(license_.link.startswith("https://") or entry.get("model") == model for entry in same)


def accepted() -> list[dict[str, Any]]:
    """Consents that were kept: licence, link, model and time of each. Empty for a damaged file."""
    try:
        kept = json.loads(_path().read_text(encoding="utf-8"))["accepted"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [entry for entry in kept if isinstance(entry, dict)] if isinstance(kept, list) else []


def keep_consent(license_: License, model: str) -> None:
    """Add a consent to the file. Raises StoreError."""
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"license": license_.name, "link": license_.link, "model": model, "when": when}
    content = {"format": _FORMAT, "accepted": [*accepted(), entry]}
    try:
        paths.home().mkdir(parents=True, exist_ok=True)
        atomic.write_text(_path(), json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        problem = f"the consent cannot be kept in {_path()}: {error.strerror or error}"
        raise StoreError(problem, "check the disk and its permissions, or set SEALLM_HOME to another folder") from error


def _path() -> Path:
    return paths.home() / FILE_NAME
