"""Choice of a type, and of a model, by the free memory and the free disk of this machine, with the reason in words.

Arithmetic over sizes: knows no network and no files, except in `free_here`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ... import paths
from ...catalogue.cards import TYPES, Card, cards, file_bytes
from ...catalogue.recipes import UNQUANTIZED
from ...files.file_system import existing_parent
from ...files.sizes import readable
from ...gguf_file import Dimensions
from ...machine import this_machine
from ...plan.memory import needed_bytes, working_bytes


@dataclass(frozen=True)
class Free:
    """Free bytes of this machine: memory, and disk where the models are kept."""

    memory: int
    disk: int


@dataclass(frozen=True)
class Candidate:
    """Type that could be taken: bytes of its file, and bytes of memory that it needs."""

    type_name: str
    size: int
    memory: int

    def fits(self, free: Free) -> bool:
        """Whether memory and disk suffice."""
        return self.memory <= free.memory and self.size <= free.disk


@dataclass(frozen=True)
class Chosen:
    """Chosen candidate, and the reason as a sentence."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True)
class ModelChoice:
    """Model of the catalogue that runs here, and its best type."""

    card: Card
    chosen: Chosen


def free_here() -> Free:
    """Free memory of this machine, and free disk of the models folder or of the folder that it will be made in."""
    return Free(this_machine().memory_available, free_disk(paths.models_dir()))


def free_disk(folder: Path) -> int:
    """Free bytes on the disk of a folder that may not exist yet."""
    return shutil.disk_usage(existing_parent(folder)).free


def candidates(card: Card) -> tuple[Candidate, ...]:
    """Types of a card, the most exact first."""
    return tuple(Candidate(name, card.size(name), needed_bytes(card, name)) for name in card.types)


def candidates_of(dimensions: Dimensions) -> tuple[Candidate, ...]:
    """Types of a checkpoint without a card, by its dimensions, the most exact first."""
    return tuple(candidate_of(dimensions, name) for name in TYPES)


def candidate_of(dimensions: Dimensions, type_name: str) -> Candidate:
    """One type of a checkpoint without a card. Raises KeyError if no recipe has this name."""
    size = file_bytes(dimensions, type_name)
    return Candidate(type_name, size, size + working_bytes(dimensions))


def best(of: Sequence[Candidate], free: Free) -> Chosen | None:
    """Most exact quantized candidate that fits; `of` has the most exact first. None where none fits.

    Unquantized types read twice the bytes for each token, with no visible gain: they come only if there is no other.
    """
    quantized = [one for one in of if one.type_name not in UNQUANTIZED] or list(of)
    for place, one in enumerate(quantized):
        if one.fits(free):
            return Chosen(one, _reason(one, quantized[place - 1] if place else None, free))
    return None


def smallest(of: Sequence[Candidate]) -> Chosen:
    """Smallest candidate, for the refusal that says what even it needs."""
    one = min(of, key=lambda candidate: (candidate.type_name in UNQUANTIZED, candidate.size))
    return Chosen(one, f"{one.type_name}: {readable(one.size)}, the smallest there is")


def runnable_models(free: Free, among: Iterable[Card] | None = None) -> list[ModelChoice]:
    """Chat models that run here, each in its best type; the largest first, stand-ins last."""
    listed = cards().values() if among is None else among
    chats = sorted((card for card in listed if card.chat), key=lambda card: (bool(card.stand_in), -card.parameters))
    found = ((card, best(candidates(card), free)) for card in chats)
    return [ModelChoice(card, chosen) for card, chosen in found if chosen]


def nearest_model(card: Card | None, free: Free) -> ModelChoice | None:
    """Largest other model of the card's kind (chat or base) that runs here; None where none does."""
    is_chat = card.chat if card else True
    others = (other for other in cards().values() if other != card and other.chat == is_chat and not other.stand_in)
    for other in sorted(others, key=lambda other: -other.parameters):
        if chosen := best(candidates(other), free):
            return ModelChoice(other, chosen)
    return None


def _reason(one: Candidate, larger: Candidate | None, free: Free) -> str:
    name = f"{one.type_name}: {readable(one.size)}"
    memory = readable(free.memory)
    if larger is None:
        return f"{name}, the most exact there is; it needs {readable(one.memory)} of the {memory} of free memory"
    if larger.memory > free.memory:
        beyond = f"{larger.type_name} needs {readable(larger.memory)}"
        return f"{name}, the most exact that fits in {memory} of free memory; {beyond}"
    beyond = f"{larger.type_name} takes {readable(larger.size)}"
    return f"{name}, the most exact that fits in {readable(free.disk)} of free disk; {beyond}"
