"""Offer: what a pull will do and cost, said before it starts, and the refusals of what cannot run here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ... import paths
from ...catalogue.cards import Card
from ...errors import ConversionError, NotEnoughMemory
from ...files.sizes import readable
from ...hints import Command, Hint, Option
from ..licenses import License
from ..origins import short
from .choosing import Free, best, candidates, nearest_model

CONVERT, DOWNLOAD = "convert", "download"


@dataclass(frozen=True)
class Offer:
    """Offer of a pull. Sizes in bytes.

    model, title    the model for commands, and as its authors write it
    type_name       its type ("" if unknown), with the `reason` for it
    origin          the repository at its commit, or the URL
    way             "convert" (weights streamed through the converter) or "download" (a ready GGUF)
    network         bytes still to receive; `resumed` are safe on the disk from an earlier run
    disk            bytes of disk, at the peak and when it is done: only the model is written; `disk_begun` are taken
    memory          bytes of memory that the model needs to run
    seconds         at the measured speed; None where none was measured
    """

    model: str
    title: str
    type_name: str
    reason: str
    origin: str
    way: str
    network: int
    resumed: int
    disk: int
    disk_begun: int
    memory: int
    license: License
    free: Free
    seconds: float | None = None
    card: Card | None = None

    def lines(self) -> tuple[str, ...]:
        """Offer as lines of text for people."""
        kind = "official weights, converted while they come" if self.way == CONVERT else "a ready GGUF"
        took = f" ({duration(self.seconds)} at the speed measured now)" if self.seconds is not None else ""
        resumed = f"; {readable(self.resumed)} are here from an earlier run" if self.resumed else ""
        return (
            f"{self.title}: {kind}, from {short(self.origin)}",
            f"type: {self.reason}",
            f"network: {readable(self.network)}{took}{resumed}",
            f"disk: {readable(self.disk)}, at the peak and when done; {readable(self.free.disk)} is free",
            f"memory: {readable(self.memory)} to run it; {readable(self.free.memory)} is free",
            f"licence: {self.license}",
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("model", "title", "type_name", "reason", "origin", "way", "network", "resumed", "disk")
        facts = {name: getattr(self, name) for name in (*names, "memory", "seconds")}
        license_ = {"name": self.license.name, "link": self.license.link}
        return {**facts, "free": asdict(self.free), "license": license_}

    def check(self) -> None:
        """Raise NotEnoughMemory or ConversionError (disk) for a model that cannot run or cannot be kept here."""
        # What was begun goes on: memory that other programs take now may be free when it is done.
        if self.memory > self.free.memory and not self.resumed:
            raise self._memory_refusal()
        missing = self.disk - self.disk_begun - self.free.disk
        if missing > 0:
            raise self._disk_refusal(missing)

    def _memory_refusal(self) -> NotEnoughMemory:
        free = self.free.memory
        problem = f"{self._name()} needs {readable(self.memory)} of memory but {readable(free)} is free"
        nearest = self._smaller() or Hint("no model of the catalogue fits; close other programs")
        hint = nearest.then("; {anyway} gets it all the same", anyway=Option("anyway", True))
        return NotEnoughMemory(problem, self.memory, free, hint)

    def _disk_refusal(self, missing: int) -> ConversionError:
        problem = f"{self._name()} takes {readable(self.disk)} of disk"
        hint = Hint("free {missing}", missing=readable(missing))
        if smaller := self._smaller():
            hint = hint.then(", or take less: ").then(smaller.text, **smaller.parts)
        hint = hint.then("; or set SEALLM_HOME to a folder on another disk")
        return ConversionError(f"{problem} but {paths.models_dir()} has {readable(self.free.disk)} free", hint)

    def _smaller(self) -> Hint | None:
        """Hint to the nearest choice that fits: another type of this card, else another model."""
        if self.card and (chosen := best(candidates(self.card), self.free)):
            of_card = Command("pull", (self.card.name,), (Option("type", chosen.candidate.type_name),))
            return Hint(f"{chosen.candidate.type_name} of the same model fits: {{pull}}", pull=of_card)
        if near := nearest_model(self.card, self.free):
            name = f"{near.card.name} ({near.chosen.candidate.type_name})"
            return Hint(f"{name} fits: {{pull}}", pull=Command("pull", (near.card.name,)))
        return None

    def _name(self) -> str:
        is_said = not self.type_name or self.type_name.casefold() in self.title.casefold()
        return self.title if is_said else f"{self.title} as {self.type_name}"


def duration(seconds: float) -> str:
    """Duration in words, to two units: "40 s", "12 min", "2 h 5 min", "1 d 3 h"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
