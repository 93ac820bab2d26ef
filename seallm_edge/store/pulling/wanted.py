"""Model that a pull is asked for: the name of a card, a repository of a hub, a file in it, or a URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ...catalogue.cards import Card, match
from ...errors import InvalidOption
from ...hints import Command, Hint
from ...hub.addresses import without_secrets
from ...paths import typed_path
from ..installed import Installed, installed
from .fetch import known_type

# ref: the pages of huggingface.co: /ORG/NAME, /ORG/NAME/tree/REVISION, /ORG/NAME/blob/REVISION/FILE
_PAGE = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repository>[^/?#]+/[^/?#]+)"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[^/?#]+)(?:/(?P<file>[^?#]+))?)?/?(?:[?#].*)?"
)
_HUB_PREFIX = "hf:"
_COMMIT = re.compile(r"[0-9a-f]{7,40}")  # its first digits, at least
_NO_FILE = ("", "download=true")  # queries that choose no file


@dataclass(frozen=True)
class Wanted:
    """Wanted model: `name` as it was asked for; a `url`, or a `repository` at a `revision` ("" for the main branch).

    `card` is its card if it has one; `is_gguf` asks for a ready file, `file` for that one, by its name or its type.
    """

    name: str
    card: Card | None = None
    repository: str = ""
    revision: str = ""
    file: str = ""
    url: str = ""
    type_name: str | None = None
    is_gguf: bool = False

    @property
    def spec(self) -> str:
        """Repository with its revision, for the hub."""
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


def parse_wanted(model: str, type_name: str | None, gguf: str | None, revision: str | None) -> Wanted:
    """Parse what a pull is asked for; reads no file. Raises InvalidOption."""
    if is_file_here(file := gguf or model):
        raise InvalidOption(f"{file} is on this computer", Hint("import it: {way}", way=Command("import", (file,))))
    if not model and not gguf:
        hint = Hint("name one of {models}, ORG/NAME on a hub, or a URL", models=Command("models"))
        raise InvalidOption("no model is named", hint)
    kind = known_type(type_name) if type_name else None
    card = match(model) if model else None
    place, file = _place(gguf or model, may_name_file=bool(gguf))
    if page := _PAGE.fullmatch(place):
        found = unquote(page["revision"] or "")
        file = unquote(page["file"] or "") or file
        is_gguf = bool(gguf) or file.lower().endswith(".gguf")
        return Wanted(gguf or model, card, page["repository"], revision or found, file, "", kind, is_gguf)
    if "://" in place:
        return Wanted(place, card, url=place, type_name=kind, is_gguf=True)
    if gguf or "/" in place:
        repository, _, found = place.partition("@")
        return Wanted(gguf or place, card, repository, revision or found, file, "", kind, bool(gguf))
    return Wanted(card.name if card else model, card, card.source_repo if card else "", revision or "", "", "", kind)


def is_file_here(name: str) -> bool:
    """Whether a name is the path of a GGUF on this computer."""
    try:
        return name.lower().endswith(".gguf") and typed_path(name).is_file()
    except OSError:  # too long for a path
        return False


def find_here(wanted: Wanted) -> Installed | None:
    """Installed model that is what is wanted, so that there is nothing to pull; asks no hub."""
    return next((one for one in installed() if _is_here(one, wanted)), None)


def _place(text: str, may_name_file: bool) -> tuple[str, str]:
    """(repository or URL, file) of "ORG/NAME:FILE"."""
    place = text.removeprefix(_HUB_PREFIX)
    if "://" in place or not may_name_file:
        return place, ""
    repository, _, file = place.partition(":")
    return repository, file


def _is_here(one: Installed, wanted: Wanted) -> bool:
    if wanted.type_name and one.type_name != wanted.type_name:
        return False
    origin = one.entry.origin if one.entry else ""
    if wanted.url:  # another query may name another file: its server says which
        return origin == without_secrets(wanted.url) and urlsplit(wanted.url).query in _NO_FILE
    is_of_card = bool(wanted.card) and one.card == wanted.card and "/" not in wanted.name
    if is_of_card and not wanted.revision and not wanted.is_gguf:
        return True
    if not wanted.repository:
        return one.name.casefold() == wanted.name.casefold()
    if wanted.revision and not _COMMIT.fullmatch(wanted.revision):
        return False  # a branch or a tag: the hub says where it is
    if not origin.startswith(f"hf:{wanted.repository}@{wanted.revision}"):
        return False
    return not wanted.file or _has_file(one, wanted.file)


def _has_file(one: Installed, file: str) -> bool:
    names = {one.type_name, one.name, *(PurePosixPath(f.path).name for f in (one.entry.files if one.entry else ()))}
    return PurePosixPath(file).name.casefold() in {name.casefold() for name in names if name}
